#include "api/grpc_calls.h"

#include "api/buffer_pool.h"
#include "api/grpc_status.h"
#include "api/http.h"

namespace muster {

namespace {

// Longer texts are cut: metadata has bounds.
constexpr std::size_t kStatusMessageBytesMax = 1024;
constexpr std::size_t kStatusDetailsBytesMax = 4 << 10;

}  // namespace

GrpcCall* GrpcCalls::Begin(Rpc rpc, const GrpcMetadata& metadata, GrpcExchange exchange) {
  GrpcCall* const call = pool_.Take();
  if (call == nullptr) {
    CallFacts refused;
    ledger_.Open(refused, rpc, {}, {});
    exchange.Send(MakeFailure(refused, {.reason = Reason::kOverloaded,
                                        .message = "too many requests are under way; send it again after a moment"}));
    ledger_.Close(refused, 503, Reason::kOverloaded);
    return nullptr;
  }
  call->exchange.emplace(std::move(exchange));
  ledger_.Open(*call, rpc, metadata.request_id, metadata.trace_parent);
  return call;
}

Result<void> GrpcCalls::Admit(GrpcCall& call, const GrpcMetadata& metadata) {
  MUSTER_TRY(ledger_.Authenticate(call, metadata.authorization));
  if (!metadata.timeout.empty()) {
    MUSTER_ASSIGN(const Duration timeout, ParseGrpcTimeout(metadata.timeout));
    call.deadline = Deadline(call.begin + timeout);
  }
  return {};
}

Result<void> GrpcCalls::Admit(GrpcCall& call, const GrpcMetadata& metadata, Scope scope) {
  MUSTER_TRY(Admit(call, metadata));
  return CallLedger::RequireScope(call, scope);
}

std::string& GrpcCalls::StartMessage() {
  if (message_.capacity() > kScratchBytesMax) {
    std::string().swap(message_);  // assigning would keep the memory
  } else {
    message_.clear();
  }
  return message_;
}

void GrpcCalls::Answer(GrpcCall& call, std::string_view message, const GrpcOrigin& origin) {
  if (message.size() > kLargeAnswerBytes && !IsWrite(call.rpc)) {
    if (const Result<void> held = call.exchange->Hold(message.size()); !held) return Fail(call, held.error());
  }
  call.exchange->Send({.request_id = call.request_id,
                       .trace_parent = call.trace_parent,
                       .source = origin.source,
                       .age_ms = origin.age_ms,
                       .is_replayed = call.replayed,
                       .message = message});
  End(call, 200, std::nullopt);
}

void GrpcCalls::Fail(GrpcCall& call, const Error& error, const GrpcOrigin& origin) {
  GrpcReply reply = MakeFailure(call, error);
  reply.source = origin.source;
  reply.age_ms = origin.age_ms;
  call.exchange->Send(reply);
  if (reply.http_status == 500) ledger_.LogFailure(call, error.message);
  End(call, reply.http_status, error.reason);
}

GrpcReply GrpcCalls::MakeFailure(const CallFacts& call, const Error& error) {
  const ReasonDescription& reason = DescribeReason(error.reason);
  status_message_.clear();
  AppendPercentEncoded(status_message_, std::string_view(error.message).substr(0, kStatusMessageBytesMax));
  status_details_.clear();
  AppendStatus(status_details_, error, call.request_id);
  if (status_details_.size() > kStatusDetailsBytesMax) {
    status_details_.clear();
    AppendStatus(status_details_, {.reason = error.reason, .message = {}, .retry_after_ms = error.retry_after_ms},
                 call.request_id);
  }
  return {.request_id = call.request_id,
          .trace_parent = call.trace_parent,
          .status = reason.grpc_code,
          .http_status = reason.http_status,
          .status_message = status_message_,
          .status_details = status_details_};
}

void GrpcCalls::End(GrpcCall& call, int http_status, std::optional<Reason> reason) {
  ledger_.Close(call, http_status, reason);
  call.exchange.reset();
  pool_.Give(call);
}

}  // namespace muster
