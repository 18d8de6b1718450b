#include "api/rpc.h"

#include <algorithm>
#include <array>
#include <span>

#include "api/query.h"

namespace muster {

namespace {

struct RpcRow {
  std::string_view name;
  bool is_write = false;
};
constexpr std::array<RpcRow, kRpcCount> kRpcs = {{{"None"},
                                                  {"RegisterMember", true},
                                                  {"GetMember"},
                                                  {"ResolveMember"},
                                                  {"BatchGetMembers"},
                                                  {"BatchResolveMembers"},
                                                  {"UpdateMember", true},
                                                  {"BindIdentity", true},
                                                  {"UnbindIdentity", true},
                                                  {"MergeMembers", true},
                                                  {"UnmergeMembers", true},
                                                  {"CloseMember", true},
                                                  {"ListMemberHistory"},
                                                  {"SearchMembers"},
                                                  {"WatchChanges"},
                                                  {"GetServer"},
                                                  {"Live"},
                                                  {"Ready"},
                                                  {"Metrics"},
                                                  {"GetOpenApi"},
                                                  {"CreateCaller", true},
                                                  {"ListCallers"},
                                                  {"UpdateCaller", true},
                                                  {"RotateCaller", true},
                                                  {"DisableCaller", true},
                                                  {"EnableCaller", true},
                                                  {"GetRoutes"},
                                                  {"GetTopology"},
                                                  {"GetFreshness"},
                                                  {"FailOver", true},
                                                  {"SwitchOver", true},
                                                  {"RebuildDatabase", true},
                                                  {"MoveShards", true},
                                                  {"ReserveImport", true},
                                                  {"ImportMembers", true},
                                                  {"ExportMembers"},
                                                  {"CheckHealth"},
                                                  {"WatchHealth"},
                                                  {"Reflect"}}};

// What a path answers to each method. GET serves HEAD as well.
struct Methods {
  Rpc get = Rpc::kNone;
  Rpc post = Rpc::kNone;
  Rpc patch = Rpc::kNone;
};

std::string_view AllowOf(const Methods& methods) {
  if (methods.get != Rpc::kNone && methods.patch != Rpc::kNone) return "GET, HEAD, PATCH";
  if (methods.get != Rpc::kNone && methods.post != Rpc::kNone) return "GET, HEAD, POST";
  if (methods.get != Rpc::kNone) return "GET, HEAD";
  return methods.patch != Rpc::kNone ? "PATCH" : "POST";
}

void Choose(const Methods& methods, HttpMethod method, Route& route) {
  if (method == HttpMethod::kGet || method == HttpMethod::kHead) route.rpc = methods.get;
  if (method == HttpMethod::kPost) route.rpc = methods.post;
  if (method == HttpMethod::kPatch) route.rpc = methods.patch;
  if (route.rpc != Rpc::kNone) return;
  route.refusal = Reason::kMethodNotAllowed;
  route.allow = AllowOf(methods);
}

struct FixedPath {
  std::string_view path;
  Methods methods;
};
constexpr std::array<FixedPath, 4> kSharedPaths = {{{"/livez", {.get = Rpc::kLive}},
                                                    {"/readyz", {.get = Rpc::kReady}},
                                                    {"/metrics", {.get = Rpc::kMetrics}},
                                                    {"/openapi.json", {.get = Rpc::kGetOpenApi}}}};
constexpr std::array<FixedPath, 7> kMemberPaths = {{{"/v1/members", {.post = Rpc::kRegisterMember}},
                                                    {"/v1/members:resolve", {.get = Rpc::kResolveMember}},
                                                    {"/v1/members:batchGet", {.post = Rpc::kBatchGetMembers}},
                                                    {"/v1/members:batchResolve", {.post = Rpc::kBatchResolveMembers}},
                                                    {"/v1/members:search", {.post = Rpc::kSearchMembers}},
                                                    {"/v1/changes", {.get = Rpc::kWatchChanges}},
                                                    {"/v1/server", {.get = Rpc::kGetServer}}}};
constexpr std::array<FixedPath, 11> kAdminPaths = {
    {{"/admin/v1/callers", {.get = Rpc::kListCallers, .post = Rpc::kCreateCaller}},
     {"/admin/v1/routes", {.get = Rpc::kGetRoutes}},
     {"/admin/v1/topology", {.get = Rpc::kGetTopology}},
     {"/admin/v1/topology:freshness", {.get = Rpc::kGetFreshness}},
     {"/admin/v1/topology:failover", {.post = Rpc::kFailOver}},
     {"/admin/v1/topology:switchover", {.post = Rpc::kSwitchOver}},
     {"/admin/v1/topology:rebuild", {.post = Rpc::kRebuildDatabase}},
     {"/admin/v1/topology:moveShards", {.post = Rpc::kMoveShards}},
     {"/admin/v1/imports:reserve", {.post = Rpc::kReserveImport}},
     {"/admin/v1/members:import", {.post = Rpc::kImportMembers}},
     {"/admin/v1/members:export", {.get = Rpc::kExportMembers}}}};

constexpr std::array<FixedPath, 7> kMemberSuffixes = {{{"", {.get = Rpc::kGetMember, .patch = Rpc::kUpdateMember}},
                                                       {":bind", {.post = Rpc::kBindIdentity}},
                                                       {":unbind", {.post = Rpc::kUnbindIdentity}},
                                                       {":merge", {.post = Rpc::kMergeMembers}},
                                                       {":unmerge", {.post = Rpc::kUnmergeMembers}},
                                                       {":close", {.post = Rpc::kCloseMember}},
                                                       {"/history", {.get = Rpc::kListMemberHistory}}}};
constexpr std::array<FixedPath, 4> kCallerSuffixes = {{{"", {.patch = Rpc::kUpdateCaller}},
                                                       {":rotate", {.post = Rpc::kRotateCaller}},
                                                       {":disable", {.post = Rpc::kDisableCaller}},
                                                       {":enable", {.post = Rpc::kEnableCaller}}}};

const Methods* FindPath(std::span<const FixedPath> table, std::string_view path) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const FixedPath& row) { return row.path == path; });
  return found == table.end() ? nullptr : &found->methods;
}

// Finds `path` in a table of fixed ones.
bool ChooseFixed(std::span<const FixedPath> table, HttpMethod method, std::string_view path, Route& route) {
  const Methods* methods = FindPath(table, path);
  if (methods != nullptr) Choose(*methods, method, route);
  return methods != nullptr;
}

}  // namespace

std::string_view RpcName(Rpc rpc) { return kRpcs[static_cast<std::size_t>(rpc)].name; }
bool IsWrite(Rpc rpc) { return kRpcs[static_cast<std::size_t>(rpc)].is_write; }

Route RouteMemberPath(HttpMethod method, std::string_view path) {
  constexpr std::string_view kPrefix = "/v1/members/";
  Route route;
  if (!path.starts_with(kPrefix)) {
    if (!ChooseFixed(kMemberPaths, method, path, route)) ChooseFixed(kSharedPaths, method, path, route);
    return route;
  }
  path.remove_prefix(kPrefix.size());
  const std::size_t end = std::min(path.find_first_of(":/"), path.size());
  const Methods* methods = FindPath(kMemberSuffixes, path.substr(end));
  if (methods == nullptr) return route;
  Choose(*methods, method, route);
  const auto id = ParseDecimal(path.substr(0, end));
  if (id && *id > 0) {
    route.member = MemberId(*id);
  } else if (route.rpc != Rpc::kNone) {
    route.rpc = Rpc::kNone;
    route.refusal = Reason::kInvalidArgument;
  }
  return route;
}

Route RouteAdminPath(HttpMethod method, std::string_view path) {
  constexpr std::string_view kPrefix = "/admin/v1/callers/";
  Route route;
  if (!path.starts_with(kPrefix)) {
    if (!ChooseFixed(kAdminPaths, method, path, route)) ChooseFixed(kSharedPaths, method, path, route);
    return route;
  }
  path.remove_prefix(kPrefix.size());
  const std::size_t end = std::min(path.find_first_of(":/"), path.size());
  route.caller = path.substr(0, end);
  if (route.caller.empty()) return route;
  ChooseFixed(kCallerSuffixes, method, path.substr(end), route);
  return route;
}

GrpcRoute RouteGrpcPath(std::string_view path) {
  struct Row {
    std::string_view path;
    GrpcRoute route;
  };
  static constexpr std::array<Row, 18> kRows = {
      {{"/muster.v1.MemberService/GetMember", {Rpc::kGetMember}},
       {"/muster.v1.MemberService/ResolveMember", {Rpc::kResolveMember}},
       {"/muster.v1.MemberService/BatchGetMembers", {Rpc::kBatchGetMembers}},
       {"/muster.v1.MemberService/BatchResolveMembers", {Rpc::kBatchResolveMembers}},
       {"/muster.v1.MemberService/RegisterMember", {Rpc::kRegisterMember}},
       {"/muster.v1.MemberService/UpdateMember", {Rpc::kUpdateMember}},
       {"/muster.v1.MemberService/BindIdentity", {Rpc::kBindIdentity}},
       {"/muster.v1.MemberService/UnbindIdentity", {Rpc::kUnbindIdentity}},
       {"/muster.v1.MemberService/MergeMembers", {Rpc::kMergeMembers}},
       {"/muster.v1.MemberService/UnmergeMembers", {Rpc::kUnmergeMembers}},
       {"/muster.v1.MemberService/CloseMember", {Rpc::kCloseMember}},
       {"/muster.v1.MemberService/ListMemberHistory", {Rpc::kListMemberHistory}},
       {"/muster.v1.MemberService/SearchMembers", {Rpc::kSearchMembers}},
       {"/muster.v1.MemberService/WatchChanges", {Rpc::kWatchChanges, true}},
       {"/muster.v1.MemberService/GetServer", {Rpc::kGetServer}},
       {"/grpc.health.v1.Health/Check", {Rpc::kCheckHealth}},
       {"/grpc.health.v1.Health/Watch", {Rpc::kWatchHealth, true}},
       {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", {Rpc::kReflect, true}}}};
  // The two versions of reflection differ in their names only.
  if (path == "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo") return {Rpc::kReflect, true};
  const auto found = std::ranges::find(kRows, path, &Row::path);
  return found == kRows.end() ? GrpcRoute{} : found->route;
}

Error RefusalOf(const Route& route) {
  if (route.refusal == Reason::kMethodNotAllowed) {
    return Error{.reason = route.refusal, .message = "this path takes " + std::string(route.allow)};
  }
  if (route.refusal == Reason::kInvalidArgument) {
    return FailField("id", "must be a whole number from 1 to 9223372036854775807").error();
  }
  return Error{
      .reason = Reason::kNotFound,
      .message = "there is nothing at this path; the API begins with /v1/members, on the admin port with /admin/v1"};
}

}  // namespace muster
