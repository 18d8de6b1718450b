#include "api/grpc_api.h"

#include <utility>

#include "api/grpc_changes.h"
#include "api/grpc_handler.h"
#include "api/grpc_reflection.h"
#include "api/grpc_stream_call.h"

namespace muster {

namespace {

Error Crowded() {
  return {.reason = Reason::kOverloaded,
          .message = "the server holds as many requests and answers as it may; send it again after a moment"};
}

Error NoSuchMethod() {
  return {.reason = Reason::kNotImplemented,
          .message = "this server has no such method; `grpcurl HOST:PORT list` shows its services"};
}

}  // namespace

std::unique_ptr<GrpcHandler> MakeGrpcApi(EventLoop& loop, std::unique_ptr<MemberReader> reader,
                                         const ApiDependencies& dependencies) {
  return std::make_unique<GrpcApi>(loop, std::move(reader), dependencies);
}

GrpcApi::GrpcApi(EventLoop& loop, std::unique_ptr<MemberReader> reader, const ApiDependencies& dependencies)
    : writer_(*dependencies.writer),
      merger_(*dependencies.merger),
      archive_(*dependencies.archive),
      clock_(*dependencies.clock),
      server_(dependencies.server),
      token_hash_(dependencies.keyring->hash_key()),
      proto_(*dependencies.catalog, dependencies.keyring->hash_key()),
      calls_(loop, dependencies),
      health_(calls_, dependencies.readiness, *dependencies.clock),
      batches_(calls_.ledger(), [this](Batch& batch) { AnswerBatch(batch); }),
      searches_(calls_.ledger(), dependencies, *reader,
                [this](GrpcCall& call, const Result<Searches::Answer>& found) { AnswerSearch(call, found); }),
      reader_(std::move(reader)) {
  if (dependencies.changes != nullptr)
    changes_.emplace(*dependencies.changes, calls_.ledger(), dependencies, &AppendChangeMessage);
}

void GrpcApi::Tick() {
  health_.Tick();
  if (changes_) changes_->Tick();
}

GrpcMethodKind GrpcApi::KindOf(std::string_view path) const {
  const GrpcRoute route = RouteGrpcPath(path);
  if (!route.is_streaming) return GrpcMethodKind::kUnary;
  return route.rpc == Rpc::kWatchChanges ? GrpcMethodKind::kStream : GrpcMethodKind::kKeylessStream;
}

Result<GrpcHandler::Waiter> GrpcApi::WhoWaits(const GrpcRequest& known) {
  const Rpc rpc = RouteGrpcPath(known.path).rpc;
  if (rpc == Rpc::kNone) return Fail(NoSuchMethod());
  if (rpc == Rpc::kCheckHealth) return Waiter::kAnybody;
  MUSTER_TRY(calls_.ledger().Authenticate(known.metadata.authorization));
  return Waiter::kCaller;
}

void GrpcApi::Handle(const GrpcRequest& request, GrpcExchange exchange) {
  GrpcCall* const call = calls_.Begin(RouteGrpcPath(request.path).rpc, request.metadata, std::move(exchange));
  if (call == nullptr) return;
  if (call->rpc != Rpc::kCheckHealth && request.crowded) return calls_.Fail(*call, Crowded());
  if (auto begun = Dispatch(*call, request); !begun) calls_.Fail(*call, begun.error());
}

Result<void> GrpcApi::Dispatch(GrpcCall& call, const GrpcRequest& request) {
  switch (call.rpc) {
    case Rpc::kGetMember:
      return Get(call, request);
    case Rpc::kResolveMember:
      return Resolve(call, request);
    case Rpc::kBatchGetMembers:
      return BatchGet(call, request);
    case Rpc::kBatchResolveMembers:
      return BatchResolve(call, request);
    case Rpc::kListMemberHistory:
      return ListHistory(call, request);
    case Rpc::kSearchMembers:
      return Search(call, request);
    case Rpc::kGetServer:
      return GetServer(call, request);
    case Rpc::kRegisterMember:
      return Register(call, request);
    case Rpc::kUpdateMember:
      return Update(call, request);
    case Rpc::kBindIdentity:
      return Bind(call, request);
    case Rpc::kUnbindIdentity:
      return Unbind(call, request);
    case Rpc::kMergeMembers:
    case Rpc::kUnmergeMembers:
      return Merge(call, request);
    case Rpc::kCloseMember:
      return Close(call, request);
    case Rpc::kCheckHealth:
      return CheckHealth(call, request);
    default:
      return Fail(NoSuchMethod());
  }
}

std::unique_ptr<GrpcSource> GrpcApi::Open(const GrpcRequest& request, GrpcStream& stream) {
  const Rpc rpc = RouteGrpcPath(request.path).rpc;
  if (rpc == Rpc::kWatchHealth) return health_.Watch(request, stream);
  if (request.crowded) {
    GrpcStreamCall(calls_, rpc, request.metadata, stream).Fail(Crowded());
    return nullptr;
  }
  if (rpc == Rpc::kWatchChanges) return OpenChanges(calls_, changes_ ? &*changes_ : nullptr, request, stream);
  return OpenReflection(calls_, request, stream);
}

void GrpcApi::Reject(const Error& error, const GrpcRequest& known, GrpcExchange exchange) {
  GrpcCall* const call = calls_.Begin(RouteGrpcPath(known.path).rpc, known.metadata, std::move(exchange));
  if (call != nullptr) calls_.Fail(*call, error);
}

}  // namespace muster
