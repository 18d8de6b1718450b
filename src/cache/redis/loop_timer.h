#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "base/socket_loop.h"

namespace muster::redis {

// Alarms of one loop: a timer of the kernel that the loop watches. All on the loop's thread.
class LoopTimer final : private SocketWatcher {
 public:
  using Work = std::move_only_function<void()>;

  // One thing to be done later; ends with the object, or when it is set again. The timer outlives it.
  class Alarm {
   public:
    explicit Alarm(LoopTimer& timer) : timer_(timer) {}
    ~Alarm() { Cancel(); }
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;

    // Runs `work` once, not before `after` has passed. The work may set the alarm again, and destroy it.
    void Set(Duration after, Work work);
    void Cancel();
    bool is_set() const { return is_set_; }

   private:
    friend class LoopTimer;
    LoopTimer& timer_;
    Instant at_;
    std::uint64_t number_ = 0;
    bool is_set_ = false;
    Work work_;
  };

  // Outlived by the loop and the clock, which has to run as the kernel's does.
  static Result<std::unique_ptr<LoopTimer>> Make(SocketLoop& loop, const Clock& clock);
  ~LoopTimer();  // no alarm is left
  LoopTimer(const LoopTimer&) = delete;

  Instant Now() const { return clock_.Monotonic(); }

 private:
  struct Order {
    bool operator()(const Alarm* a, const Alarm* b) const {
      return std::pair(a->at_, a->number_) < std::pair(b->at_, b->number_);
    }
  };

  LoopTimer(SocketLoop& loop, const Clock& clock, int descriptor)
      : loop_(loop), clock_(clock), descriptor_(descriptor) {}
  void OnReady(Ready ready) override;
  void Arm();

  SocketLoop& loop_;
  const Clock& clock_;
  const int descriptor_;
  std::set<Alarm*, Order> alarms_;
  std::uint64_t next_number_ = 0;
  Instant armed_for_ = Instant::max();
};

}  // namespace muster::redis
