#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/socket_loop.h"
#include "cache/redis/fault.h"
#include "cache/redis/loop_timer.h"
#include "cache/redis/reply.h"
#include "cache/redis/server_facts.h"

namespace muster::redis {

struct Credentials {
  std::string user = {};  // empty: "default"
  std::string password = {};
};

// The first line of `password_file`; both empty: none. INTERNAL: it cannot be read, or others may read it.
Result<Credentials> LoadCredentials(const std::string& user, const std::string& password_file);

struct ConnectionSettings {
  Credentials credentials = {};
  std::span<const std::string_view> scripts = {};             // loaded before it is up; they outlive the connection
  Duration connect_timeout = std::chrono::milliseconds(500);  // until it is up
  Duration stall_timeout = std::chrono::seconds(1);           // a request without an answer ends the connection
  Duration probe_interval = std::chrono::milliseconds(250);   // zero: none; whoever subscribes may not ask for INFO
  Duration backoff_min = std::chrono::milliseconds(10);
  Duration backoff_max = std::chrono::milliseconds(500);
  std::size_t outstanding_max = 16'384;
  std::size_t output_bytes_max = std::size_t{32} << 20;
};

// One connection of one loop to one server.
//
//            Open           connected          AUTH, INFO, scripts accepted
//   CLOSED ───────► CONNECTING ──► GREETING ──► UP ───────────────────────┐
//                        ▲                                                │ lost, stalled, another identity or role,
//                        └──────────── DOWN: pauses, longer and longer ◄──┘ an unsafe policy; also from the two before
//
// Requests of a turn leave in one write; answers come in their order. A request whose deadline passes is answered then,
// and its late answer is dropped; one that stays unanswered for `stall_timeout` ends the connection, since all behind
// it wait as well. Whatever was sent and not answered may have been done.
//
// It looks at the server again all the time (`probe_interval`): a primary that was demoted, or that goes on from
// another history, is as good as a lost one. All on the loop's thread.
class Connection final : private SocketWatcher {
 public:
  // Told on each change. Must not destroy the connection.
  struct Listener {
    std::function<void()> up;
    std::function<void(Fault)> down;
    // Messages of a channel: of a connection that subscribed. Null: what nobody asked for ends it.
    std::function<void(ReplyView)> pushed;
  };

  // Everything referred to outlives it.
  Connection(Endpoint endpoint, const ConnectionSettings& settings, SocketLoop& loop, LoopTimer& timer, Random& random,
             Listener listener);
  // Not within one of its replies. What waits is answered: kUnreachable.
  ~Connection();
  Connection(const Connection&) = delete;

  void Open();

  // Answered once, never during the call unless at once with a failure: kUnreachable (not up), kTooMany.
  void Send(std::string_view command, Deadline deadline, OutcomeReply done);

  bool is_up() const { return state_ == State::kUp; }
  const ServerFacts& facts() const { return facts_; }  // while it is up
  const Endpoint& endpoint() const { return endpoint_; }
  // Why it is not up.
  Fault last_fault() const { return last_fault_; }
  std::size_t outstanding() const { return waiting_.size(); }
  std::uint64_t writes() const { return writes_; }  // system calls that sent something

 private:
  enum class State : std::uint8_t { kClosed, kConnecting, kGreeting, kUp, kDown };
  struct Waiting {
    OutcomeReply done;  // empty: answered by its deadline
    Instant deadline;
    Instant sent;
  };
  static constexpr Duration kTick = std::chrono::milliseconds(2);

  void OnReady(Ready ready) override;
  void Connect();
  void Greet();
  void OnGreeted(Outcome outcome);
  void OnFacts(Outcome outcome);
  void BecomeUp();
  void Probe();
  void Enqueue(std::string_view command, Instant deadline, OutcomeReply done);
  void ScheduleFlush();
  void Flush();
  void Read();
  bool Answer();
  bool Take(Reply reply);
  void Tick();
  void Break(Fault fault);
  void Watch();

  const Endpoint endpoint_;
  const ConnectionSettings& settings_;
  SocketLoop& loop_;
  LoopTimer& timer_;
  Random& random_;
  const Listener listener_;

  State state_ = State::kClosed;
  int socket_ = -1;
  SocketLoop::Interest interest_;
  std::uint64_t generation_ = 0;  // of the socket: who was called meanwhile may have lost it
  std::unique_ptr<ReplyParser> parser_;
  std::string output_;
  std::size_t output_sent_ = 0;
  bool flush_is_scheduled_ = false;
  std::deque<Waiting> waiting_;
  std::size_t greetings_ = 0;  // answers that are missing before it is up
  ServerFacts facts_;
  Fault last_fault_ = Fault::kUnreachable;
  Duration backoff_;
  std::uint64_t writes_ = 0;
  LoopTimer::Alarm tick_, probe_, retry_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what is deferred
};

}  // namespace muster::redis
