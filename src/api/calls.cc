#include "api/calls.h"

#include <array>
#include <charconv>

#include "api/http_server.h"
#include "api/problem.h"
#include "base/check.h"
#include "base/encoding.h"

namespace muster {

namespace {

// What the scratch buffers keep between answers.
constexpr std::size_t kRetainedBytesMax = std::size_t{256} << 10;

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

std::string_view CodeOf(std::optional<Reason> reason) { return reason ? DescribeReason(*reason).code : "OK"; }

}  // namespace

Calls::Calls(EventLoop& loop, const ApiDependencies& dependencies)
    : loop_(loop),
      clock_(*dependencies.clock),
      callers_(*dependencies.callers),
      logger_(*dependencies.logger),
      metrics_(*dependencies.metrics),
      keys_under_way_(*dependencies.keys_under_way) {
  std::array<std::uint8_t, 8> prefix;
  dependencies.random->Fill(prefix);
  request_id_prefix_ = ToHex(prefix) + "-";
  for (std::size_t i = 0; i < kRpcCount; ++i) {
    histograms_[i] =
        &metrics_.AddHistogram("muster_api_request_seconds", "Time from a request's arrival to its answer.",
                               {{"rpc", std::string(RpcName(static_cast<Rpc>(i)))}});
    CounterOf(static_cast<Rpc>(i), std::nullopt);
  }
}

Calls::~Calls() {
  std::unique_lock lock(away_mutex_);
  all_back_.wait(lock, [this] { return away_ == 0; });
}

void Calls::Leave() {
  std::lock_guard lock(away_mutex_);
  ++away_;
}

void Calls::Return() {
  // Notified under the lock: the destructor may run as soon as it is released.
  std::lock_guard lock(away_mutex_);
  MUSTER_CHECK(away_ > 0);
  if (--away_ == 0) all_back_.notify_all();
}

void Calls::AppendRequestId(std::string& out) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, ++request_count_, 16).ptr;
  out.append(request_id_prefix_).append(digits, end);
}

Call* Calls::Begin(Rpc rpc, const RequestHeaders& headers, HttpExchange exchange) {
  if (idle_.empty()) {
    if (calls_.size() == kCallsMax) {
      Call refused;
      refused.rpc = rpc;
      refused.begin = clock_.Monotonic();
      AppendRequestId(refused.request_id);
      refused.exchange.emplace(std::move(exchange));
      const Error error{.reason = Reason::kOverloaded,
                        .message = "too many requests are under way; send it again after a moment"};
      std::string& body = StartBody();
      AppendProblem(body, error, refused.request_id);
      AppendProblemHeaders(StartHead(refused), error);
      refused.exchange->Send({503, kProblemContentType, head_, body});
      Record(refused, 503, error.reason);
      return nullptr;
    }
    calls_.push_back(std::make_unique<Call>());
    idle_.push_back(calls_.back().get());
  }
  Call& call = *idle_.back();
  idle_.pop_back();
  call.exchange.emplace(std::move(exchange));
  call.rpc = rpc;
  call.begin = clock_.Monotonic();
  call.deadline = Deadline(call.begin + kTimeoutDefault);
  call.member = MemberId();
  call.request_id.clear();
  if (IsRequestId(headers.request_id)) {
    call.request_id.append(headers.request_id);
  } else {
    AppendRequestId(call.request_id);
  }
  call.trace_parent.assign(ValidTraceParent(headers.trace_parent));
  return &call;
}

Result<void> Calls::Admit(Call& call, const RequestHeaders& headers) {
  MUSTER_ASSIGN(call.caller, callers_.Authenticate(headers.authorization));
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

Result<void> Calls::RequireScope(const Call& call, Scope scope) {
  if (call.caller->Has(scope)) return {};
  return muster::Fail(Reason::kPermissionDenied, "caller " + call.caller->name + " lacks the scope " +
                                                     std::string(ScopeName(scope)) +
                                                     "; use a caller that has it, or have one made with it");
}

Result<void> Calls::EnterIdempotency(Call& call, const Idempotency& idempotency) {
  MUSTER_TRY(keys_under_way_.Enter(idempotency.key));
  call.idempotency = idempotency;
  call.idempotency->replayed = &call.replayed;
  return {};
}

Result<void> Calls::Hold(Call& call, std::size_t bytes) {
  if (held_bytes_ + bytes > kHeldBytesMax) {
    return muster::Fail(Reason::kOverloaded, "too much is under way; send it again after a moment");
  }
  held_bytes_ += bytes;
  call.held_bytes += bytes;
  return {};
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
  Empty(body_, kRetainedBytesMax);
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

void Calls::Fail(Call& call, const Error& error, std::string_view allow) {
  const int status = DescribeReason(error.reason).http_status;
  std::string& head = StartHead(call);
  AppendProblemHeaders(head, error);
  if (!allow.empty()) AppendLine(head, "Allow", allow);
  std::string& body = StartBody();
  AppendProblem(body, error, call.request_id);
  call.exchange->Send({status, kProblemContentType, head, body});
  if (status == 500) {
    logger_.Error("request failed",
                  {{"rpc", RpcName(call.rpc)}, {"request_id", call.request_id}, {"error", error.message}});
  }
  End(call, status, error.reason);
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
  Record(call, status, reason);
  held_bytes_ -= call.held_bytes;
  call.held_bytes = 0;
  if (call.idempotency) keys_under_way_.Leave(call.idempotency->key);
  call.idempotency.reset();
  call.replayed = false;
  Empty(call.if_none_match, kRetainedConditionBytesMax);
  call.exchange.reset();
  call.caller.reset();
  idle_.push_back(&call);
}

void Calls::Record(const Call& call, int status, std::optional<Reason> reason) {
  const Duration duration = clock_.Monotonic() - call.begin;
  CounterOf(call.rpc, reason).Add();
  histograms_[static_cast<std::size_t>(call.rpc)]->Record(duration);

  const bool is_notable =
      IsWrite(call.rpc) || call.rpc == Rpc::kExportMembers || status >= 500 || status == 401 || status == 403;
  const LogLevel level = is_notable ? LogLevel::kInfo : LogLevel::kDebug;
  const std::string_view caller = call.caller == nullptr ? std::string_view() : call.caller->name;
  const std::string_view trace_id = TraceIdOf(call.trace_parent);
  // As text: readers of JSON round numbers of 63 bits.
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), call.member.value()).ptr;
  const std::string_view member_id(digits.data(), end);
  logger_.Log(level, "request",
              {{"rpc", RpcName(call.rpc)},
               {"code", CodeOf(reason)},
               {"status", status},
               {"caller", caller},
               {"member_id", member_id},
               {"request_id", call.request_id},
               {"trace_id", trace_id},
               {"duration_micros", duration.count()}});
}

Counter& Calls::CounterOf(Rpc rpc, std::optional<Reason> reason) {
  const std::size_t column = reason ? static_cast<std::size_t>(*reason) : kReasonCount;
  Counter*& counter = counters_[static_cast<std::size_t>(rpc)][column];
  if (counter == nullptr) {
    counter = &metrics_.AddCounter("muster_api_requests_total", "Requests answered, by rpc and code.",
                                   {{"rpc", std::string(RpcName(rpc))}, {"code", std::string(CodeOf(reason))}});
  }
  return *counter;
}

}  // namespace muster
