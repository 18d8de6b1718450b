#include "api/member_api.h"

#include <utility>

#include "api/member_handler.h"
#include "api/openapi.h"

namespace muster {

std::unique_ptr<HttpHandler> MakeMemberApi(EventLoop& loop, std::unique_ptr<MemberReader> reader,
                                           const ApiDependencies& dependencies) {
  return std::make_unique<MemberHandler>(loop, std::move(reader), dependencies);
}

MemberHandler::MemberHandler(EventLoop& loop, std::unique_ptr<MemberReader> reader, const ApiDependencies& dependencies)
    : writer_(*dependencies.writer),
      merger_(*dependencies.merger),
      archive_(*dependencies.archive),
      clock_(*dependencies.clock),
      server_(dependencies.server),
      probes_(dependencies, Probes::kExpositionAgeMax),
      token_hash_(dependencies.keyring->hash_key()),
      json_(*dependencies.catalog, dependencies.keyring->hash_key()),
      calls_(loop, dependencies),
      batches_(calls_.ledger(), [this](Batch& batch) { AnswerBatch(batch); }),
      searches_(calls_.ledger(), dependencies, *reader,
                [this](Call& call, const Result<Searches::Answer>& found) { AnswerSearch(call, found); }),
      reader_(std::move(reader)) {
  if (dependencies.changes != nullptr)
    changes_.emplace(*dependencies.changes, calls_.ledger(), dependencies, &AppendChange);
}

void MemberHandler::Tick() {
  if (changes_) changes_->Tick();
}

void MemberHandler::Handle(const HttpRequest& request, HttpExchange exchange) {
  const RequestHeaders headers = RequestHeaders::Scan(request.headers);
  Route route;
  if (request.path.find('%') == std::string_view::npos) {
    route = RouteMemberPath(request.method, request.path);
  } else {
    path_.clear();
    if (PercentDecode(request.path, path_)) route = RouteMemberPath(request.method, path_);
  }
  Call* call = calls_.Begin(route.rpc, headers, std::move(exchange));
  if (call == nullptr) return;
  call->member = route.member;
  if (route.rpc == Rpc::kNone) return calls_.FailUnrouted(*call, RefusalOf(route), route.allow);
  if (Probes::Serves(route.rpc)) return probes_.Answer(calls_, *call, request.query);
  if (request.crowded) return calls_.FailCrowded(*call);
  if (route.rpc == Rpc::kGetOpenApi) return AnswerOpenApi(calls_, *call, headers, MemberOpenApi());
  if (auto begun = Dispatch(*call, {request, headers}); !begun) calls_.Fail(*call, begun.error());
}

Result<void> MemberHandler::Dispatch(Call& call, const Input& input) {
  switch (call.rpc) {
    case Rpc::kGetMember:
      return Get(call, input);
    case Rpc::kResolveMember:
      return Resolve(call, input);
    case Rpc::kBatchGetMembers:
      return BatchGet(call, input);
    case Rpc::kBatchResolveMembers:
      return BatchResolve(call, input);
    case Rpc::kSearchMembers:
      return Search(call, input);
    case Rpc::kWatchChanges:
      return WatchChanges(call, input);
    case Rpc::kListMemberHistory:
      return ListHistory(call, input);
    case Rpc::kGetServer:
      return GetServer(call, input);
    case Rpc::kRegisterMember:
      return Register(call, input);
    case Rpc::kUpdateMember:
      return Update(call, input);
    case Rpc::kBindIdentity:
      return Bind(call, input);
    case Rpc::kUnbindIdentity:
      return Unbind(call, input);
    case Rpc::kMergeMembers:
    case Rpc::kUnmergeMembers:
      return Merge(call, input);
    case Rpc::kCloseMember:
      return Close(call, input);
    default:
      return Fail(Reason::kNotFound, "there is nothing at this path");
  }
}

void MemberHandler::Reject(const HttpRejection& rejection, const HttpRequest& known, HttpExchange exchange) {
  calls_.Refuse(rejection, known, std::move(exchange));
}

void MemberHandler::AppendMember(std::string& out, const Call& call, const MemberDocument& document) {
  if (call.caller->Has(Scope::kPersonalRead)) {
    out.append(document.json());
  } else {
    document.AppendMasked(out);
  }
}

}  // namespace muster
