#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "api/asio_event_loop.h"
#include "api/h2_flood_gate.h"
#include "api/h2_session.h"
#include "api/h2_stream.h"
#include "api/timer_wheel.h"

namespace muster {

class H2Loop;

// One client's HTTP/2 connection: gives what it reads to the session, hands whole calls to the loop's handler, sends
// what the session has.
//
//   greeting ──► serving ──┬─ idle, or the server drains: GOAWAY "no more" ──► leaving: GOAWAY with the last call's
//                          │                                                   number, answers what is under way ──┐
//                          └─ floods, breaks the protocol: GOAWAY with the reason ─────────────────────────────────┤
//                                                                      lingering: sends FIN, drops input ◄─────────┘
//                                                                          └──► closed
//
// A connection without a call holds no buffer but what the session has. Input is always read while the socket takes
// output: flow control needs it. What bounds a connection instead is that whole calls wait, unhandled, while
// output_bytes_max of unary answers are unsent or the connection has had its share of the loop's time. Closing keeps
// the object until the turn's end. One thread.
class H2Connection final : public SocketWatcher, public TimerWheel::Timer {
 public:
  // Calls that may be open for a client without a key, which cost it nothing: a stream for each service that a channel
  // watches, a few for tools and for checks whose message is late.
  static constexpr std::size_t kKeylessStreamsMax = 8;

  // Owns `socket`.
  H2Connection(H2Loop& loop, int socket);
  ~H2Connection();

  void Start();
  // The first step of the end, and the second.
  void Drain();
  void ConfirmEnd();
  // Closes at once, with whatever is under way.
  void Close();
  // Sends what the turn has answered.
  void EndTurn();
  // What it holds of streams whose client has something to take or to send, and has not since `since`.
  std::int64_t StalledBytes(Instant since) const;

  void OnReady(Ready ready) override;
  void OnTimer(Instant now) override;

  // For its session.
  void OnBlockBegin();
  void OnField(H2Stream* stream, bool is_request, std::string_view name, std::string_view value);
  H2Stream& OnStreamBegin(std::int32_t id);
  void OnStreamEnd(H2Stream& stream, bool is_well);
  void OnGreeted() { is_greeted_ = true; }
  // The beginning of a frame for a stream that is not open.
  void OnStreamless(std::int32_t id);
  // The client could not know that the stream was closed: frames for it may still come.
  void Forgive(std::int32_t id);
  // A frame that makes work and leads to no answer.
  void OnIdleFrame();
  // The client has read the first GOAWAY.
  void OnEndHeard() { is_end_heard_ = true; }

  // For its streams.
  H2Session& session() { return session_; }
  void OnWhole(H2Stream& stream);
  void OnOutput();
  void OnStreaming() { ++streaming_; }
  // The head of a unary call is there, and its message is not.
  void OnUnfinished(std::int32_t id) { unfinished_from_ = std::min(unfinished_from_, id); }
  // What is left goes on after others have had their turn when not.
  bool HasTime();
  // False: there are kKeylessStreamsMax.
  bool AddKeylessStream();
  void ChangeUnderWay(int by) { under_way_ += by; }
  void ChangeUnsent(std::int64_t by) { unsent_bytes_ += by; }
  void Account(std::int64_t change);

 private:
  friend H2Loop;

  // What the connection's one timer is for.
  enum class Wait : std::uint8_t { kNothing, kGreeting, kIdle, kBlock, kStreams, kWrite, kLeave, kLinger };

  static constexpr std::int32_t kNoStream = std::numeric_limits<std::int32_t>::max();

  bool is_open() const { return socket_ >= 0; }
  bool has_room() const;
  void CheckUnfinished();
  void Read();
  void Discard();
  void Settle();
  // False: the connection was closed.
  bool Flush();
  bool GatherOutput();
  void HandleWaiting();
  void FeedStreams();
  // Ends those that have stalled; whatever else goes on, each is looked at about twice a second.
  void ScanStreams();
  void Misbehaves(H2Session::ErrorCode code = H2Session::ErrorCode::kCalm);
  void End();
  void UpdateInterest();
  void UpdateDeadline();
  Wait NextWait() const;

  H2Loop& loop_;
  int socket_;
  AsioEventLoop::Interest interest_;
  Wait wait_ = Wait::kNothing;
  bool busy_ = false;          // in the session or in Settle: output needs no mark
  bool marked_ = false;        // EndTurn will come
  bool blocked_ = false;       // the socket takes no more
  bool failed_ = false;        // the session has
  bool is_cut_short_ = false;  // a stream had no time for all that it has received
  bool is_greeted_ = false;
  bool is_announced_ = false;  // the first GOAWAY has been submitted
  bool is_end_heard_ = false;
  bool is_leaving_ = false;  // the second one, or the one with a reason
  bool lingering_ = false;
  std::int32_t under_way_ = 0;       // handled and not answered
  std::int64_t unsent_bytes_ = 0;    // of unary answers
  std::size_t streaming_ = 0;        // streams with a source
  std::size_t keyless_streams_ = 0;  // that have a place of AddKeylessStream
  std::size_t block_bytes_ = 0;      // of the header block that arrives
  std::size_t discarded_bytes_ = 0;
  std::int64_t accounted_bytes_ = 0;
  Instant stretch_began_;
  Instant scanned_at_{};  // when streams were last looked at
  Instant moved_at_;      // when bytes were last given to the socket, or received while none waited
  H2FloodGate gate_;
  std::string output_;  // gathered and not taken by the socket
  std::size_t sent_ = 0;
  std::vector<H2Stream*> waiting_;  // whole, not handled
  H2Stream* streams_ = nullptr;
  std::int32_t last_stream_ = 0;
  std::int32_t unfinished_from_ = kNoStream;  // the first stream whose head came with what is being received
  std::vector<std::int32_t> forgiven_;        // streams, the oldest first
  bool has_forgotten_ = false;                // which they were: all are forgiven
  H2Session session_;
  H2Connection* previous_ = nullptr;  // the loop's list
  H2Connection* next_ = nullptr;
};

}  // namespace muster
