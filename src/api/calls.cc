#include "api/calls.h"

#include <utility>

#include "api/buffer_pool.h"
#include "api/http_server.h"
#include "api/problem.h"

namespace muster {

namespace {

// What a call keeps of a condition for the next one; entity tags are short.
constexpr std::size_t kRetainedConditionBytesMax = 128;

// Or a body that the server takes could never be held.
static_assert(Calls::kHeldBytesMax >= 2 * HttpServerOptions::kBodyBytesLimit);

void Empty(std::string& buffer, std::size_t retained_bytes_max) {
  if (buffer.capacity() > retained_bytes_max) {
    std::string().swap(buffer);  // assigning would keep the memory
  } else {
    buffer.clear();
  }
}

void AppendLine(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

Call* Calls::Begin(Rpc rpc, const RequestHeaders& headers, HttpExchange exchange) {
  Call* const call = pool_.Take();
  if (call == nullptr) {
    Call refused;
    ledger_.Open(refused, rpc, {}, {});
    const Error error{.reason = Reason::kOverloaded,
                      .message = "too many requests are under way; send it again after a moment"};
    std::string& body = StartBody();
    AppendProblem(body, error, refused.request_id);
    AppendProblemHeaders(StartHead(refused), error);
    exchange.Send({503, kProblemContentType, head_, body});
    ledger_.Close(refused, 503, error.reason);
    return nullptr;
  }
  call->exchange.emplace(std::move(exchange));
  ledger_.Open(*call, rpc, headers.request_id, headers.trace_parent);
  return call;
}

Result<void> Calls::Admit(Call& call, const RequestHeaders& headers) {
  MUSTER_TRY(ledger_.Authenticate(call, headers.authorization));
  if (!headers.timeout_ms.empty()) {
    MUSTER_ASSIGN(const Duration timeout, ParseTimeout(headers.timeout_ms));
    call.deadline = Deadline(call.begin + timeout);
  }
  return {};
}

Result<void> Calls::Admit(Call& call, const RequestHeaders& headers, Scope scope) {
  MUSTER_TRY(Admit(call, headers));
  return RequireScope(call, scope);
}

Result<void> Calls::KeepCondition(Call& call, std::string_view if_none_match) {
  if (if_none_match.empty()) return {};
  MUSTER_TRY(Hold(call, if_none_match.size()));
  call.if_none_match.assign(if_none_match);
  return {};
}

std::string& Calls::StartHead(const Call& call) {
  head_.clear();
  AppendLine(head_, "Request-Id", call.request_id);
  if (!call.trace_parent.empty()) AppendLine(head_, "traceparent", call.trace_parent);
  return head_;
}

std::string& Calls::StartBody() {
  Empty(body_, kScratchBytesMax);
  return body_;
}

void Calls::Answer(Call& call, int status, std::string_view content_type, std::string_view body,
                   std::optional<Reason> reason) {
  if (body.size() > kLargeAnswerBytes && !IsWrite(call.rpc)) {
    if (const Result<void> held = call.exchange->Hold(body.size()); !held) return Fail(call, held.error());
  }
  call.exchange->Send({status, content_type, head_, body});
  End(call, status, reason);
}

void Calls::Fail(Call& call, const Error& error) {
  StartHead(call);
  FailWithHead(call, error);
}

void Calls::FailWithHead(Call& call, const Error& error) {
  const int status = DescribeReason(error.reason).http_status;
  AppendProblemHeaders(head_, error);
  std::string& body = StartBody();
  AppendProblem(body, error, call.request_id);
  call.exchange->Send({status, kProblemContentType, head_, body});
  if (status == 500) ledger_.LogFailure(call, error.message);
  End(call, status, error.reason);
}

void Calls::FailUnrouted(Call& call, const Error& error, std::string_view allow) {
  StartHead(call);
  if (!allow.empty()) AppendLine(head_, "Allow", allow);
  FailWithHead(call, error);
}

void Calls::Stream(Call& call, std::string_view content_type, std::unique_ptr<HttpSource> source) {
  HttpExchange exchange = *std::exchange(call.exchange, std::nullopt);
  exchange.Stream({.status = 200, .content_type = content_type, .extra_headers = head_}, std::move(source));
}

void Calls::Refuse(const HttpRejection& rejection, const HttpRequest& known, HttpExchange exchange) {
  Call* const call = Begin(Rpc::kNone, RequestHeaders::Scan(known.headers), std::move(exchange));
  if (call != nullptr) Fail(*call, RejectionError(rejection.status, rejection.detail));
}

void Calls::FailCrowded(Call& call) {
  Fail(call, {.reason = Reason::kOverloaded,
              .message = "the server holds as many requests and answers as it may; send it again after a moment"});
}

void Calls::End(Call& call, int status, std::optional<Reason> reason) {
  ledger_.Close(call, status, reason);
  Empty(call.if_none_match, kRetainedConditionBytesMax);
  call.exchange.reset();
  pool_.Give(call);
}

}  // namespace muster
