#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "bench/call_maker.h"
#include "bench/measurement.h"
#include "bench/silence.h"
#include "bench/transport.h"

namespace muster {

// When one thread's requests are due.
struct LoadSchedule {
  static constexpr std::uint64_t kRateMax = 10'000'000;

  // Requests a second of all threads together; 0: as many as possible, each connection sends when it has been answered.
  std::uint64_t rate = 0;
  // This thread takes request number `index` and every `threads`-th one after it.
  std::uint64_t index = 0;
  std::uint64_t threads = 1;
  BenchTime warm_up{0};
  BenchTime duration{0};  // after the warm-up
  BenchTime patience{0};  // for the last answers, behind the end
};

// One thread's part of a load. Open loop: the n-th request is due at a time that depends on nothing but n, and its
// latency is counted from there, whether or not a connection was free to send it (Gil Tene's "coordinated omission").
// Once the end has come, what was due and was not sent, and what was sent and is not answered in time, counts with the
// time that it has waited: a lower bound.
//
// A request's own lag is how late the generator sent what it could have sent: from due to sent. Where requests had to
// wait for a connection, what has piled up counts from when one is free and at twice the rate, until it is worked off:
// there is much to send at once because the server did not answer, and only a generator slower than that is late
// itself.
//
//   begin ── warm-up ──┬── duration: measured ──┬── patience: only answers
//                      └ window 0 │ window 1 │ … each a second
class LoadWorker final : private LoadAnswerSink {
 public:
  using ReadUsage = std::function<ThreadUsage()>;        // of the calling thread
  using TakeWindow = std::function<void(LoadWindow&&)>;  // each window that is over, in order

  LoadWorker(const LoadSchedule& schedule, CallMaker& calls, LoadTransport& transport, ReadUsage read_usage,
             TakeWindow take_window);

  // Runs the load to its end, or until `stop`, which ends it with what has been measured so far.
  void Run(BenchTime begin, const std::atomic<bool>& stop);

  const Measurement& measurement() const { return measurement_; }
  // When it heard nothing.
  std::vector<Silence> silences() const { return silence_.Kept(); }
  // How long was measured.
  BenchTime measured() const { return measured_; }

 private:
  struct Pending {
    BenchTime due{};
    BenchTime sent{};
    LoadVerb verb = LoadVerb::kGet;
    std::uint32_t thing = 0;
    bool is_measured = false;
    bool is_under_way = false;
  };

  void OnAnswer(const LoadAnswer& answer) override;
  BenchTime DueAt(std::uint64_t number) const;
  // Sends what is due, as far as connections are free, and not too much at a stretch: answers want to be seen, too.
  void SendDue(BenchTime now);
  void SendOne(BenchTime due, BenchTime now);
  // How late what is sent now is by the generator's own doing.
  BenchTime OwnLag(BenchTime due, BenchTime now);
  void FailOne(BenchTime due);
  BenchTime NextWake(BenchTime now) const;
  void Listen(BenchTime until);
  // It is `now`; was this thread away?
  void NoteTime(BenchTime now);
  void Drain(const std::atomic<bool>& stop);
  void CountUnsent();
  void CountUnanswered();
  void AdvanceWindow(BenchTime now);
  void CloseWindow(BenchTime now);
  double BusySince(const ThreadUsage& usage, BenchTime since, BenchTime now) const;
  bool IsMeasured(BenchTime due) const { return due >= measure_from_; }

  const LoadSchedule schedule_;
  const BenchTime catch_up_step_;
  CallMaker& calls_;
  LoadTransport& transport_;
  const ReadUsage read_usage_;
  const TakeWindow take_window_;

  BenchTime begin_{};
  BenchTime measure_from_{};
  BenchTime end_{};
  BenchTime measured_{};
  std::uint64_t next_ = 0;   // number of the next request
  BenchTime freed_at_{};     // when an answer made a connection free, the last time
  BenchTime could_send_{};   // when the last request could have been sent, as long as others are due
  bool is_waiting_ = false;  // a request is due, and no connection was free for it
  bool has_more_ = false;    // a request is due, and a connection may be free
  BenchTime polled_from_{};  // when the last Poll began
  BenchTime awake_by_{};     // when it listens again, or has listened, at the latest
  SilenceWatch silence_;
  std::vector<Pending> pending_;
  std::vector<std::uint32_t> free_tokens_;
  Measurement measurement_;
  LoadWindow window_;
  BenchTime window_from_{};
  ThreadUsage window_usage_;
};

}  // namespace muster
