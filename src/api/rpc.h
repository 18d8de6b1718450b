#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/http.h"
#include "base/result.h"
#include "domain/ids.h"

namespace muster {

// What a request asks for; the names are those of the rpcs in proto/muster/v1, of metrics and of logs.
enum class Rpc : std::uint8_t {
  kNone,  // no such route
  kRegisterMember,
  kGetMember,
  kResolveMember,
  kBatchGetMembers,
  kBatchResolveMembers,
  kUpdateMember,
  kBindIdentity,
  kUnbindIdentity,
  kMergeMembers,
  kUnmergeMembers,
  kCloseMember,
  kListMemberHistory,
  kSearchMembers,
  kWatchChanges,
  kGetServer,
  kLive,
  kReady,
  kMetrics,
  kGetOpenApi,
  kCreateCaller,
  kListCallers,
  kUpdateCaller,
  kRotateCaller,
  kDisableCaller,
  kEnableCaller,
  kGetRoutes,
  kGetTopology,
  kGetFreshness,
  kFailOver,
  kSwitchOver,
  kRebuildDatabase,
  kMoveShards,
  kReserveImport,
  kImportMembers,
  kExportMembers,
  kCheckHealth,
  kWatchHealth,
  kReflect,
};
inline constexpr std::size_t kRpcCount = static_cast<std::size_t>(Rpc::kReflect) + 1;
std::string_view RpcName(Rpc rpc);
// Whether it changes something.
bool IsWrite(Rpc rpc);

// Where a request's path leads.
struct Route {
  Rpc rpc = Rpc::kNone;     // kNone with a reason in `refusal`
  MemberId member;          // of /v1/members/{id}…
  std::string_view caller;  // of /admin/v1/callers/{name}…; a view into the path
  Reason refusal = Reason::kNotFound;
  std::string_view allow;  // METHOD_NOT_ALLOWED: what the path would take, as in Allow
};

// `path` has its percent-escapes decoded. An id that is not a positive 63-bit integer is INVALID_ARGUMENT.
Route RouteMemberPath(HttpMethod method, std::string_view path);
Route RouteAdminPath(HttpMethod method, std::string_view path);

// Where the path of a gRPC call leads.
struct GrpcRoute {
  Rpc rpc = Rpc::kNone;
  bool is_streaming = false;  // on either side
};
GrpcRoute RouteGrpcPath(std::string_view path);

// The error of a route without an rpc.
Error RefusalOf(const Route& route);

}  // namespace muster
