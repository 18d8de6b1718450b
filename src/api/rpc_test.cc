#include "api/rpc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace muster {
namespace {

using enum HttpMethod;

TEST(RpcTest, EveryOneHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kRpcCount; ++i) names.insert(RpcName(static_cast<Rpc>(i)));
  EXPECT_EQ(names.size(), kRpcCount);
  EXPECT_FALSE(names.contains(""));
}

TEST(RouteTest, LeadsWhereTheTableSays) {
  const auto member = [](HttpMethod method, std::string_view path) { return RouteMemberPath(method, path).rpc; };
  EXPECT_EQ(member(kPost, "/v1/members"), Rpc::kRegisterMember);
  EXPECT_EQ(member(kGet, "/v1/members/7"), Rpc::kGetMember);
  EXPECT_EQ(member(kHead, "/v1/members/7"), Rpc::kGetMember);
  EXPECT_EQ(member(kPatch, "/v1/members/7"), Rpc::kUpdateMember);
  EXPECT_EQ(member(kGet, "/v1/members:resolve"), Rpc::kResolveMember);
  EXPECT_EQ(member(kPost, "/v1/members:batchGet"), Rpc::kBatchGetMembers);
  EXPECT_EQ(member(kPost, "/v1/members:batchResolve"), Rpc::kBatchResolveMembers);
  EXPECT_EQ(member(kPost, "/v1/members/7:bind"), Rpc::kBindIdentity);
  EXPECT_EQ(member(kPost, "/v1/members/7:unbind"), Rpc::kUnbindIdentity);
  EXPECT_EQ(member(kPost, "/v1/members/7:merge"), Rpc::kMergeMembers);
  EXPECT_EQ(member(kPost, "/v1/members/7:unmerge"), Rpc::kUnmergeMembers);
  EXPECT_EQ(member(kPost, "/v1/members/7:close"), Rpc::kCloseMember);
  EXPECT_EQ(member(kGet, "/v1/members/7/history"), Rpc::kListMemberHistory);
  EXPECT_EQ(member(kGet, "/v1/server"), Rpc::kGetServer);
  EXPECT_EQ(member(kGet, "/livez"), Rpc::kLive);
  EXPECT_EQ(member(kHead, "/readyz"), Rpc::kReady);
  EXPECT_EQ(member(kGet, "/metrics"), Rpc::kMetrics);
  EXPECT_EQ(member(kGet, "/openapi.json"), Rpc::kGetOpenApi);
  const auto admin = [](HttpMethod method, std::string_view path) { return RouteAdminPath(method, path).rpc; };
  EXPECT_EQ(admin(kPost, "/admin/v1/callers"), Rpc::kCreateCaller);
  EXPECT_EQ(admin(kGet, "/admin/v1/callers"), Rpc::kListCallers);
  EXPECT_EQ(admin(kPatch, "/admin/v1/callers/orders"), Rpc::kUpdateCaller);
  EXPECT_EQ(admin(kPost, "/admin/v1/callers/orders:rotate"), Rpc::kRotateCaller);
  EXPECT_EQ(admin(kPost, "/admin/v1/callers/orders:disable"), Rpc::kDisableCaller);
  EXPECT_EQ(admin(kPost, "/admin/v1/callers/orders:enable"), Rpc::kEnableCaller);
  EXPECT_EQ(admin(kGet, "/admin/v1/routes"), Rpc::kGetRoutes);
  EXPECT_EQ(admin(kGet, "/admin/v1/topology"), Rpc::kGetTopology);
  EXPECT_EQ(admin(kGet, "/admin/v1/topology:freshness"), Rpc::kGetFreshness);
  EXPECT_EQ(admin(kPost, "/admin/v1/topology:failover"), Rpc::kFailOver);
  EXPECT_EQ(admin(kPost, "/admin/v1/topology:switchover"), Rpc::kSwitchOver);
  EXPECT_EQ(admin(kPost, "/admin/v1/topology:rebuild"), Rpc::kRebuildDatabase);
  EXPECT_EQ(admin(kPost, "/admin/v1/topology:moveShards"), Rpc::kMoveShards);
  EXPECT_EQ(admin(kPost, "/admin/v1/imports:reserve"), Rpc::kReserveImport);
  EXPECT_EQ(admin(kPost, "/admin/v1/members:import"), Rpc::kImportMembers);
  EXPECT_EQ(admin(kGet, "/admin/v1/members:export"), Rpc::kExportMembers);
  EXPECT_EQ(admin(kGet, "/livez"), Rpc::kLive);
  EXPECT_EQ(RouteAdminPath(kPost, "/admin/v1/callers/orders:rotate").caller, "orders");
}

TEST(RouteTest, KnowsNothingElse) {
  for (const char* path :
       {"", "/", "/v1", "/v1/", "/v1/member", "/v1/membersx", "/v1/members:find", "/v1/members//", "/v1/members/7/",
        "/v1/members/7:freeze", "/v1/members/7/history/", "/v1/members/7/history:x", "/v1/members/7:bind:bind",
        "/livez/", "/LIVEZ", "/admin/v1/callers"}) {
    const Route route = RouteMemberPath(kGet, path);
    EXPECT_EQ(route.rpc, Rpc::kNone) << path;
    EXPECT_EQ(route.refusal, Reason::kNotFound) << path;
  }
  for (const char* path :
       {"/v1/members", "/admin/v1", "/admin/v1/callers/", "/admin/v1/callers/:rotate", "/admin/v1/callers/a/b"}) {
    EXPECT_EQ(RouteAdminPath(kGet, path).refusal, Reason::kNotFound) << path;
    EXPECT_EQ(RouteAdminPath(kGet, path).rpc, Rpc::kNone) << path;
  }
}

TEST(RouteTest, SaysWhichMethodsAPathTakes) {
  const auto allow = [](HttpMethod method, std::string_view path) {
    const Route route = path.starts_with("/admin") ? RouteAdminPath(method, path) : RouteMemberPath(method, path);
    EXPECT_EQ(route.rpc, Rpc::kNone) << path;
    EXPECT_EQ(route.refusal, Reason::kMethodNotAllowed) << path;
    return std::string(route.allow);
  };
  EXPECT_EQ(allow(kGet, "/v1/members"), "POST");
  EXPECT_EQ(allow(kDelete, "/v1/members/7"), "GET, HEAD, PATCH");
  EXPECT_EQ(allow(kPut, "/v1/members/7"), "GET, HEAD, PATCH");
  EXPECT_EQ(allow(kOptions, "/v1/members:resolve"), "GET, HEAD");
  EXPECT_EQ(allow(kHead, "/v1/members/7:bind"), "POST");
  EXPECT_EQ(allow(kPost, "/livez"), "GET, HEAD");
  EXPECT_EQ(allow(kPut, "/admin/v1/callers"), "GET, HEAD, POST");
  EXPECT_EQ(allow(kOther, "/admin/v1/callers/x:enable"), "POST");
  EXPECT_EQ(allow(kGet, "/admin/v1/callers/x"), "PATCH");
  EXPECT_EQ(allow(kDelete, "/v1/members/x"), "GET, HEAD, PATCH");
}

TEST(RouteTest, RefusesIdsThatAreNone) {
  for (const char* id :
       {"0", "-1", "+1", "07", "x", "1x", "1.0", "", "9223372036854775808", "99999999999999999999999", " 1"}) {
    const Route route = RouteMemberPath(kGet, "/v1/members/" + std::string(id));
    EXPECT_EQ(route.rpc, Rpc::kNone) << id;
    EXPECT_EQ(route.refusal, Reason::kInvalidArgument) << id;
    const Error error = RefusalOf(route);
    ASSERT_EQ(error.violations.size(), 1u);
    EXPECT_EQ(error.violations[0].field, "id");
  }
  EXPECT_EQ(RouteMemberPath(kGet, "/v1/members/9223372036854775807").member, MemberId(INT64_MAX));
}

}  // namespace
}  // namespace muster
