#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "api/api_dependencies.h"
#include "api/call_ledger.h"
#include "api/http.h"
#include "api/request_headers.h"
#include "api/rpc.h"
#include "base/event_loop.h"
#include "base/task.h"

namespace muster {

// One HTTP request between its arrival and its answer.
struct Call : CallFacts {
  std::optional<HttpExchange> exchange;
  std::string if_none_match;  // of Calls::KeepCondition
};

// The HTTP calls of one loop: begins them (request id, trace, deadline, who calls), ends them with an answer (headers,
// problem, metrics, access log), and bounds how many there are. Objects are used again, so that a call costs no
// allocation. Threads and the end: as CallLedger's.
class Calls {
 public:
  static constexpr std::size_t kCallsMax = CallPool<Call>::kCallsMax;
  static constexpr std::size_t kHeldBytesMax = CallLedger::kHeldBytesMax;

  Calls(EventLoop& loop, const ApiDependencies& dependencies) : ledger_(loop, dependencies, "http") {}

  // Takes a request up. Null when there are kCallsMax already: it is answered OVERLOADED.
  Call* Begin(Rpc rpc, const RequestHeaders& headers, HttpExchange exchange);
  // Reads the deadline and says who calls. UNAUTHENTICATED, PERMISSION_DENIED when `scope` is missing,
  // INVALID_ARGUMENT.
  Result<void> Admit(Call& call, const RequestHeaders& headers, Scope scope);
  Result<void> Admit(Call& call, const RequestHeaders& headers);
  static Result<void> RequireScope(const Call& call, Scope scope) { return CallLedger::RequireScope(call, scope); }
  Result<void> Hold(Call& call, std::size_t bytes) { return ledger_.Hold(call, bytes); }

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
  void Fail(Call& call, const Error& error);
  // Likewise, with the lines that the head was given since StartHead.
  void FailWithHead(Call& call, const Error& error);
  // A path that is none, or the methods that it would `allow`.
  void FailUnrouted(Call& call, const Error& error, std::string_view allow);
  // Begins an answer that `source` writes; the call goes on until End, which `source` calls as its last act.
  void Stream(Call& call, std::string_view content_type, std::unique_ptr<HttpSource> source);
  void End(Call& call, int status, std::optional<Reason> reason);
  // Answers what the server could not take up (HttpHandler::Reject).
  void Refuse(const HttpRejection& rejection, const HttpRequest& known, HttpExchange exchange);
  // What is answered while the server holds as much as it may (HttpRequest::crowded).
  void FailCrowded(Call& call);

  // As CallLedger's.
  template <typename T, typename Then>
  void Run(Call& call, Task<T> task, Then then) {
    ledger_.Run(call, std::move(task), std::move(then));
  }
  void Leave() { ledger_.Leave(); }
  void Return() { ledger_.Return(); }
  EventLoop& loop() { return ledger_.loop(); }
  CallLedger& ledger() { return ledger_; }

 private:
  CallPool<Call> pool_;
  std::string head_;
  std::string body_;
  CallLedger ledger_;  // goes first: it waits for writes that refer to calls
};

}  // namespace muster
