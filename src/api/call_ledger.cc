#include "api/call_ledger.h"

#include <charconv>

#include "api/request_headers.h"
#include "base/check.h"
#include "base/encoding.h"

namespace muster {

namespace {

std::string_view CodeOf(std::optional<Reason> reason) { return reason ? DescribeReason(*reason).code : "OK"; }

}  // namespace

CallLedger::CallLedger(EventLoop& loop, const ApiDependencies& dependencies, std::string_view transport)
    : loop_(loop),
      transport_(transport),
      clock_(*dependencies.clock),
      callers_(*dependencies.callers),
      logger_(*dependencies.logger),
      metrics_(*dependencies.metrics),
      keys_under_way_(*dependencies.keys_under_way),
      deadline_default_(dependencies.deadline_default),
      hash_(dependencies.keyring->hash_key()) {
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

CallLedger::~CallLedger() {
  std::unique_lock lock(away_mutex_);
  all_back_.wait(lock, [this] { return away_ == 0; });
}

void CallLedger::Leave() {
  std::lock_guard lock(away_mutex_);
  ++away_;
}

void CallLedger::Return() {
  // Notified under the lock: the destructor may run as soon as it is released.
  std::lock_guard lock(away_mutex_);
  MUSTER_CHECK(away_ > 0);
  if (--away_ == 0) all_back_.notify_all();
}

void CallLedger::AppendRequestId(std::string& out) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, ++request_count_, 16).ptr;
  out.append(request_id_prefix_).append(digits, end);
}

void CallLedger::Open(CallFacts& call, Rpc rpc, std::string_view request_id, std::string_view trace_parent,
                      std::optional<Duration> timeout) {
  call.rpc = rpc;
  call.begin = clock_.Monotonic();
  call.deadline = Deadline(call.begin + timeout.value_or(deadline_default_));
  call.member = MemberId();
  call.request_id.clear();
  if (IsRequestId(request_id)) {
    call.request_id.append(request_id);
  } else {
    AppendRequestId(call.request_id);
  }
  call.trace_parent.assign(ValidTraceParent(trace_parent));
}

Result<void> CallLedger::Authenticate(std::string_view authorization) {
  MUSTER_TRY(callers_.Authenticate(authorization));
  return {};
}

Result<void> CallLedger::Authenticate(CallFacts& call, std::string_view authorization) {
  MUSTER_ASSIGN(call.caller, callers_.Authenticate(authorization));
  return {};
}

Result<void> CallLedger::RequireScope(const CallFacts& call, Scope scope) {
  if (call.caller->Has(scope)) return {};
  return Fail(Reason::kPermissionDenied, "caller " + call.caller->name + " lacks the scope " +
                                             std::string(ScopeName(scope)) +
                                             "; use a caller that has it, or have one made with it");
}

Result<void> CallLedger::Hold(CallFacts& call, std::size_t bytes) {
  if (held_bytes_ + bytes > kHeldBytesMax) {
    return Fail(Reason::kOverloaded, "too much is under way; send it again after a moment");
  }
  held_bytes_ += bytes;
  call.held_bytes += bytes;
  return {};
}

Result<void> CallLedger::EnterIdempotency(CallFacts& call, std::string_view key, const std::vector<Version>& condition,
                                          const WriteContent& content) {
  if (key.empty()) {
    if (!call.caller->idempotency_key_required) return {};
    return FailField("Idempotency-Key",
                     "is demanded of the caller " + call.caller->name +
                         ": send a new random UUID with each write, and the same one when you repeat it");
  }
  const std::string member = std::to_string(call.member.value());
  const std::string versions = ConditionText(condition);
  const std::string_view parts[] = {RpcName(call.rpc), member, versions, content.Reveal()};
  Idempotency idempotency = IdempotencyOf(hash_, call.caller->name, key, parts);
  MUSTER_TRY(keys_under_way_.Enter(idempotency.key));
  idempotency.replayed = &call.replayed;
  call.idempotency = idempotency;
  return {};
}

void CallLedger::Close(CallFacts& call, int http_status, std::optional<Reason> reason) {
  Record(call, http_status, reason);
  if (call.idempotency) keys_under_way_.Leave(call.idempotency->key);
  call.idempotency.reset();
  call.is_dry_run = false;
  call.replayed = false;
  held_bytes_ -= call.held_bytes;
  call.held_bytes = 0;
  call.caller.reset();
}

void CallLedger::LogFailure(const CallFacts& call, std::string_view message) {
  logger_.Error("request failed", {{"rpc", RpcName(call.rpc)}, {"request_id", call.request_id}, {"error", message}});
}

void CallLedger::Record(const CallFacts& call, int http_status, std::optional<Reason> reason) {
  const Duration duration = clock_.Monotonic() - call.begin;
  CounterOf(call.rpc, reason).Add();
  histograms_[static_cast<std::size_t>(call.rpc)]->Record(duration);

  const bool is_notable = IsWrite(call.rpc) || call.rpc == Rpc::kExportMembers || http_status >= 500 ||
                          http_status == 401 || http_status == 403;
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
               {"status", http_status},
               {"caller", caller},
               {"member_id", member_id},
               {"request_id", call.request_id},
               {"trace_id", trace_id},
               {"duration_micros", duration.count()},
               {"transport", transport_}});
}

Counter& CallLedger::CounterOf(Rpc rpc, std::optional<Reason> reason) {
  const std::size_t column = reason ? static_cast<std::size_t>(*reason) : kReasonCount;
  Counter*& counter = counters_[static_cast<std::size_t>(rpc)][column];
  if (counter == nullptr) {
    counter = &metrics_.AddCounter("muster_api_requests_total", "Requests answered, by rpc and code.",
                                   {{"rpc", std::string(RpcName(rpc))}, {"code", std::string(CodeOf(reason))}});
  }
  return *counter;
}

}  // namespace muster
