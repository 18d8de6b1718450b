#pragma once

#include <optional>
#include <string_view>

#include "api/grpc.h"
#include "api/grpc_calls.h"

namespace muster {

// A streaming call between its head and its end: what GrpcCall is for unary ones. A source owns one.
class GrpcStreamCall {
 public:
  // `calls` and `stream` outlive it.
  GrpcStreamCall(GrpcCalls& calls, Rpc rpc, const GrpcMetadata& metadata, GrpcStream& stream)
      : calls_(calls), stream_(stream) {
    calls_.ledger().Open(facts_, rpc, metadata.request_id, metadata.trace_parent, kUnlimited);
    stream_.Begin({.request_id = facts_.request_id, .trace_parent = facts_.trace_parent});
  }
  // A stream that goes before it was ended: its client had enough.
  ~GrpcStreamCall() {
    if (!ended_) calls_.ledger().Close(facts_, 200, std::nullopt);
  }
  GrpcStreamCall(const GrpcStreamCall&) = delete;
  GrpcStreamCall& operator=(const GrpcStreamCall&) = delete;

  // Says who calls. UNAUTHENTICATED, PERMISSION_DENIED.
  Result<void> Admit(const GrpcMetadata& metadata, Scope scope) {
    MUSTER_TRY(calls_.ledger().Authenticate(facts_, metadata.authorization));
    return CallLedger::RequireScope(facts_, scope);
  }
  // Once admitted.
  const Caller& caller() const { return *facts_.caller; }
  bool ended() const { return ended_; }
  // As GrpcStream's; true when the stream is over, since nothing is waited for then.
  [[nodiscard]] bool Write(std::string_view message) { return ended_ || stream_.Write(message); }
  // Once; what comes later is ignored.
  void End() {
    if (ended_) return;
    ended_ = true;
    stream_.End({.request_id = facts_.request_id});
    calls_.ledger().Close(facts_, 200, std::nullopt);
  }
  void Fail(const Error& error) {
    if (ended_) return;
    ended_ = true;
    const GrpcReply reply = calls_.MakeFailure(facts_, error);
    stream_.End(reply);
    calls_.ledger().Close(facts_, reply.http_status, error.reason);
  }

 private:
  // Their clients end them.
  static constexpr Duration kUnlimited = std::chrono::hours(24 * 365);

  GrpcCalls& calls_;
  GrpcStream& stream_;
  CallFacts facts_;
  bool ended_ = false;
};

}  // namespace muster
