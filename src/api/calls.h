#pragma once

#include <array>
#include <atomic>
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
#include "api/http.h"
#include "api/idempotency.h"
#include "api/request_headers.h"
#include "api/rpc.h"
#include "base/event_loop.h"
#include "base/task.h"

namespace muster {

// One request between its arrival and its answer.
struct Call {
  std::optional<HttpExchange> exchange;
  Rpc rpc = Rpc::kNone;
  Instant begin{};
  Deadline deadline;
  std::shared_ptr<const Caller> caller;
  MemberId member;  // that it is about, for the log
  std::string request_id;
  std::string trace_parent;                // empty when the caller sent none
  std::string if_none_match;               // of Calls::KeepCondition
  std::size_t held_bytes = 0;              // of Calls::Hold
  std::optional<Idempotency> idempotency;  // of Calls::EnterIdempotency
  bool replayed = false;                   // the answer is that of an earlier request with the same key
};

// The calls of one loop: begins them (request id, trace, deadline, who calls), ends them with an answer (headers,
// problem, metrics, access log), and bounds how many there are. Objects are used again, so that a call costs no
// allocation.
//
// Used on the loop's thread, except that a write comes back on any thread and is posted to the loop. The destructor
// waits for writes that have not come back; their answers are then lost, never their effects.
class Calls {
 public:
  static constexpr std::size_t kCallsMax = 65'536;
  static constexpr std::size_t kHeldBytesMax = std::size_t{64} << 20;  // of what Hold accounts for

  Calls(EventLoop& loop, const ApiDependencies& dependencies);
  ~Calls();
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  // Takes a request up. Null when there are kCallsMax already: it is answered OVERLOADED.
  Call* Begin(Rpc rpc, const RequestHeaders& headers, HttpExchange exchange);
  // Reads the deadline and says who calls. UNAUTHENTICATED, PERMISSION_DENIED when `scope` is missing,
  // INVALID_ARGUMENT.
  Result<void> Admit(Call& call, const RequestHeaders& headers, Scope scope);
  Result<void> Admit(Call& call, const RequestHeaders& headers);
  static Result<void> RequireScope(const Call& call, Scope scope);
  // Accounts for what the call keeps in memory until it is answered. OVERLOADED when that would exceed kHeldBytesMax
  // over all calls.
  Result<void> Hold(Call& call, std::size_t bytes);

  // Remembers that the call's request may come again, and keeps others with the same key out until it is answered.
  Result<void> EnterIdempotency(Call& call, const Idempotency& idempotency);

  // Copies the If-None-Match of a read, which is held (Hold) while it is under way.
  Result<void> KeepCondition(Call& call, std::string_view if_none_match);

  // The header lines of the next answer, begun with those that every answer has: append whole lines to it, then Answer.
  std::string& StartHead(const Call& call);
  // An empty buffer for the body of the next answer.
  std::string& StartBody();
  // Each ends the call: `call` is gone afterwards. `reason` is for an answer that is no success and no problem either.
  // A large answer (kLargeAnswerBytes) to a read becomes a problem when there is no room for it.
  void Answer(Call& call, int status, std::string_view content_type, std::string_view body,
              std::optional<Reason> reason = std::nullopt);
  void Fail(Call& call, const Error& error, std::string_view allow = {});
  // Answers what the server could not take up (HttpHandler::Reject).
  void Refuse(const HttpRejection& rejection, const HttpRequest& known, HttpExchange exchange);
  // What is answered while the server holds as much as it may (HttpRequest::crowded).
  void FailCrowded(Call& call);

  // Runs a write and calls `then(call, result)` on the loop when it has come back.
  template <typename T, typename Then>
  void Run(Call& call, Task<T> task, Then then) {
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

 private:
  void AppendRequestId(std::string& out);
  void End(Call& call, int status, std::optional<Reason> reason);
  void Record(const Call& call, int status, std::optional<Reason> reason);
  Counter& CounterOf(Rpc rpc, std::optional<Reason> reason);

  EventLoop& loop_;
  const Clock& clock_;
  CallerDirectory& callers_;
  Logger& logger_;
  MetricRegistry& metrics_;
  KeysUnderWay& keys_under_way_;

  std::vector<std::unique_ptr<Call>> calls_;
  std::vector<Call*> idle_;
  std::size_t held_bytes_ = 0;
  std::string request_id_prefix_;
  std::uint64_t request_count_ = 0;
  std::string head_;
  std::string body_;

  // By rpc and reason (the last: OK); made when first needed.
  std::array<std::array<Counter*, kReasonCount + 1>, kRpcCount> counters_{};
  std::array<Histogram*, kRpcCount> histograms_{};

  std::mutex away_mutex_;
  std::condition_variable all_back_;
  std::size_t away_ = 0;
};

}  // namespace muster
