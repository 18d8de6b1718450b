#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/api_dependencies.h"
#include "api/idempotency.h"
#include "api/rpc.h"
#include "api/write_content.h"
#include "base/event_loop.h"
#include "base/task.h"

namespace muster {

// What a call that is under way as a write takes beside its message, about: for CallLedger::Hold.
inline constexpr std::size_t kWriteOverheadBytes = 4096;

// What is known of a request between its arrival and its answer, over whichever protocol it came.
struct CallFacts {
  Rpc rpc = Rpc::kNone;
  Instant begin{};
  Deadline deadline;
  std::shared_ptr<const Caller> caller;
  MemberId member;  // that it is about, for the log
  std::string request_id;
  std::string trace_parent;                // empty when the caller sent none
  std::size_t held_bytes = 0;              // of CallLedger::Hold
  std::optional<Idempotency> idempotency;  // of CallLedger::EnterIdempotency
  bool is_dry_run = false;                 // of a write that writes nothing
  bool replayed = false;                   // the answer is that of an earlier request with the same key
};

// Calls that are used again, so that one costs no allocation.
template <typename C>
class CallPool {
 public:
  static constexpr std::size_t kCallsMax = 65'536;

  // Null when kCallsMax are under way.
  C* Take() {
    if (idle_.empty()) {
      if (calls_.size() == kCallsMax) return nullptr;
      calls_.push_back(std::make_unique<C>());
      return calls_.back().get();
    }
    C* const call = idle_.back();
    idle_.pop_back();
    return call;
  }
  void Give(C& call) { idle_.push_back(&call); }

 private:
  std::vector<std::unique_ptr<C>> calls_;
  std::vector<C*> idle_;
};

// What the calls of one loop have in common, over whichever protocol they come: request ids, who calls and may he, what
// they hold, writes that are away, metrics and the access log. `Calls` (HTTP) and `GrpcCalls` answer them.
//
// Used on the loop's thread, except that a write comes back on any thread and is posted to the loop. The destructor
// waits for writes that have not come back; their answers are then lost, never their effects.
class CallLedger {
 public:
  static constexpr std::size_t kHeldBytesMax = std::size_t{64} << 20;  // of what Hold accounts for

  // `transport` ("http", "grpc") stands in the access log.
  CallLedger(EventLoop& loop, const ApiDependencies& dependencies, std::string_view transport);
  ~CallLedger();
  CallLedger(const CallLedger&) = delete;
  CallLedger& operator=(const CallLedger&) = delete;

  // Begins a call: a `request_id` that is none (IsRequestId) is replaced by one of our own, and a malformed
  // `trace_parent` is ignored. The deadline is that of requests which have none, unless `timeout` is given.
  void Open(CallFacts& call, Rpc rpc, std::string_view request_id, std::string_view trace_parent,
            std::optional<Duration> timeout = std::nullopt);
  // Says who calls. UNAUTHENTICATED.
  Result<void> Authenticate(CallFacts& call, std::string_view authorization);
  // The same of a call that is not taken up yet.
  Result<void> Authenticate(std::string_view authorization);
  // PERMISSION_DENIED.
  static Result<void> RequireScope(const CallFacts& call, Scope scope);
  // Accounts for what the call keeps in memory until it is answered. OVERLOADED when that would exceed kHeldBytesMax
  // over all calls.
  Result<void> Hold(CallFacts& call, std::size_t bytes);
  // Remembers that the write may come again, and keeps others with the same `key` out until it is answered. The same
  // write is one with the same rpc, member, condition and content, over whichever protocol: call.rpc and call.member
  // are set. Nothing for an empty key, which is INVALID_ARGUMENT where the caller's account demands one. Not for a dry
  // run. IDEMPOTENCY_IN_PROGRESS.
  Result<void> EnterIdempotency(CallFacts& call, std::string_view key, const std::vector<Version>& condition,
                                const WriteContent& content);
  // The call was answered: counts and logs it. `http_status` also over gRPC, so that logs read alike.
  void Close(CallFacts& call, int http_status, std::optional<Reason> reason);
  // An answer that is muster's own fault.
  void LogFailure(const CallFacts& call, std::string_view message);

  // Runs a write and calls `then(call, result)` on the loop when it has come back.
  template <typename C, typename T, typename Then>
  void Run(C& call, Task<T> task, Then then) {
    Leave();
    Spawn(std::move(task), [this, &call, then = std::move(then)](T result) mutable {
      loop_.Post(
          [&call, then = std::move(then), result = std::move(result)]() mutable { then(call, std::move(result)); });
      Return();
    });
  }
  // For work that goes to other threads by other ways than Run: one Return for each Leave, from any thread, as the last
  // act.
  void Leave();
  void Return();
  EventLoop& loop() { return loop_; }
  const Clock& clock() const { return clock_; }

 private:
  void AppendRequestId(std::string& out);
  void Record(const CallFacts& call, int http_status, std::optional<Reason> reason);
  Counter& CounterOf(Rpc rpc, std::optional<Reason> reason);

  EventLoop& loop_;
  const std::string_view transport_;
  const Clock& clock_;
  CallerDirectory& callers_;
  Logger& logger_;
  MetricRegistry& metrics_;
  KeysUnderWay& keys_under_way_;
  const Duration deadline_default_;
  KeyedHash hash_;

  std::size_t held_bytes_ = 0;
  std::string request_id_prefix_;
  std::uint64_t request_count_ = 0;

  // By rpc and reason (the last: OK); made when first needed.
  std::array<std::array<Counter*, kReasonCount + 1>, kRpcCount> counters_{};
  std::array<Histogram*, kRpcCount> histograms_{};

  std::mutex away_mutex_;
  std::condition_variable all_back_;
  std::size_t away_ = 0;
};

}  // namespace muster
