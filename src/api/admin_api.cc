#include "api/admin_api.h"

#include <utility>

#include "api/admin_handler.h"
#include "api/admin_json.h"
#include "api/openapi.h"

namespace muster {

std::unique_ptr<HttpHandler> MakeAdminApi(EventLoop& loop, const ApiDependencies& dependencies,
                                          const AdminApiDependencies& admin) {
  return std::make_unique<AdminHandler>(loop, dependencies, admin);
}

AdminHandler::AdminHandler(EventLoop& loop, const ApiDependencies& dependencies, const AdminApiDependencies& admin)
    : callers_(*dependencies.callers),
      writer_(*dependencies.writer),
      archive_(*dependencies.archive),
      clock_(*dependencies.clock),
      admin_(admin),
      probes_(dependencies, Duration(0)),
      json_(*dependencies.catalog, dependencies.keyring->hash_key()),
      calls_(loop, dependencies) {}

void AdminHandler::Handle(const HttpRequest& request, HttpExchange exchange) {
  const RequestHeaders headers = RequestHeaders::Scan(request.headers);
  path_.clear();
  Route route;
  if (PercentDecode(request.path, path_)) route = RouteAdminPath(request.method, path_);
  Call* call = calls_.Begin(route.rpc, headers, std::move(exchange));
  if (call == nullptr) return;
  if (route.rpc == Rpc::kNone) return calls_.FailUnrouted(*call, RefusalOf(route), route.allow);
  if (Probes::Serves(route.rpc)) return probes_.Answer(calls_, *call, request.query);
  if (request.crowded) return calls_.FailCrowded(*call);
  if (route.rpc == Rpc::kGetOpenApi) return AnswerOpenApi(calls_, *call, headers, AdminOpenApi());
  if (auto begun = Dispatch(*call, {request, headers, route.caller}); !begun) calls_.Fail(*call, begun.error());
}

Result<void> AdminHandler::Dispatch(Call& call, const Input& input) {
  switch (call.rpc) {
    case Rpc::kCreateCaller:
      return CreateCaller(call, input);
    case Rpc::kListCallers:
      return ListCallers(call, input);
    case Rpc::kUpdateCaller:
      return UpdateCaller(call, input);
    case Rpc::kRotateCaller:
      return RotateCaller(call, input);
    case Rpc::kDisableCaller:
      return SetDisabled(call, input, true);
    case Rpc::kEnableCaller:
      return SetDisabled(call, input, false);
    case Rpc::kGetRoutes:
      return GetRoutes(call, input);
    case Rpc::kGetTopology:
      return GetTopology(call, input);
    case Rpc::kGetFreshness:
      return GetFreshness(call, input);
    case Rpc::kFailOver:
      return MoveWriter(call, input, FailoverKind::kLoss);
    case Rpc::kSwitchOver:
      return MoveWriter(call, input, FailoverKind::kPlanned);
    case Rpc::kRebuildDatabase:
      return RebuildDatabase(call, input);
    case Rpc::kMoveShards:
      return MoveShards(call, input);
    case Rpc::kReserveImport:
      return ReserveImport(call, input);
    case Rpc::kImportMembers:
      return ImportMembers(call, input);
    case Rpc::kExportMembers:
      return ExportMembers(call, input);
    default:
      return Fail(Reason::kNotFound, "there is nothing at this path");
  }
}

Result<void> AdminHandler::Admit(Call& call, const Input& input, Scope scope, std::span<const std::string_view> known,
                                 std::initializer_list<std::string_view> content_types) {
  MUSTER_TRY(calls_.Admit(call, input.headers, scope));
  MUSTER_TRY(query_.Parse(input.request.query, known));
  if (input.request.body.empty()) return {};
  return CheckContentType(input.headers.content_type, content_types);
}

Result<void> AdminHandler::GetRoutes(Call& call, const Input& input) {
  MUSTER_TRY(Admit(call, input, Scope::kAdmin));
  MUSTER_ASSIGN(const RouteDescription routes, admin_.routes());
  std::string& body = calls_.StartBody();
  JsonWriter json(body);
  WriteRoutes(json, routes);
  calls_.StartHead(call);
  calls_.Answer(call, 200, "application/json", body);
  return {};
}

void AdminHandler::Reject(const HttpRejection& rejection, const HttpRequest& known, HttpExchange exchange) {
  calls_.Refuse(rejection, known, std::move(exchange));
}

}  // namespace muster
