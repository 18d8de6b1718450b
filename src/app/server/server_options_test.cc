#include "app/server/server_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "app/output/reference_pages.h"

namespace muster {
namespace {

using ::testing::HasSubstr;

class ServerOptionsTest : public ::testing::Test {
 protected:
  void SetUp() override { options_.Declare(registry_); }
  ServerOptions options_;
  OptionRegistry registry_;
};

TEST_F(ServerOptionsTest, DefaultsAreThoseOfTheInterface) {
  EXPECT_EQ(options_.data_directory, "muster-data");
  EXPECT_EQ(options_.http.listen, "127.0.0.1:7400");
  EXPECT_EQ(options_.admin.listen, "127.0.0.1:7402");
  EXPECT_EQ(options_.near.bytes, 256 << 20);
  EXPECT_TRUE(options_.sqlite.durable);
  EXPECT_TRUE(CheckServerOptions(options_, registry_));
}

TEST_F(ServerOptionsTest, EveryDefaultReadsBack) {
  for (const auto& option : registry_.Explain()) {
    if (option.spec->type == OptionType::kTables) continue;
    EXPECT_TRUE(registry_.Set(option.spec->name, option.text, "test")) << option.spec->name << " = " << option.text;
  }
}

TEST_F(ServerOptionsTest, TheBuiltInKindsMakeTheBuiltInCatalog) {
  const auto catalog = options_.MakeCatalog();
  ASSERT_TRUE(catalog);
  const IdentityCatalog built_in = IdentityCatalog::Default();
  ASSERT_EQ(catalog->kinds().size(), built_in.kinds().size());
  for (const IdentityKind& kind : built_in.kinds()) {
    const IdentityKind* const found = catalog->Find(kind.name);
    ASSERT_NE(found, nullptr) << kind.name;
    EXPECT_EQ(found->scope, kind.scope);
    EXPECT_EQ(found->members_limit, kind.members_limit);
    EXPECT_EQ(found->limit_per_platform, kind.limit_per_platform);
    EXPECT_EQ(found->normaliser, kind.normaliser);
  }
}

TEST_F(ServerOptionsTest, ConfiguredKindsReplaceThem) {
  const OptionTable loyalty{{{"name", "loyalty", "m:1"}, {"normaliser", "card", "m:2"}, {"members_limit", "2", "m:3"}}};
  ASSERT_TRUE(registry_.SetTables("identity.kinds", {loyalty}, "m:1"));
  const auto catalog = options_.MakeCatalog();
  ASSERT_TRUE(catalog);
  ASSERT_EQ(catalog->kinds().size(), 1U);
  EXPECT_EQ(catalog->Find("loyalty")->normaliser, Normaliser::kCard);
  EXPECT_EQ(catalog->Find("loyalty")->members_limit, 2);
}

TEST_F(ServerOptionsTest, WhatNoBoundCanTellIsRefusedWithItsPlace) {
  struct Case {
    const char* option;
    const char* value;
    const char* told;
  };
  for (const Case& each : {Case{"identity.default_region", "XX", "m:9: identity.default_region must be"},
                           Case{"identity.platforms", "WeChat", "m:9: identity.platforms[0] must be"},
                           Case{"routes.read", "cache(far, store)", "far"},
                           Case{"http.listen", "127.0.0.1:99999", "m:9: http.listen 127.0.0.1:99999 is not host:port"},
                           Case{"admin.listen", "nowhere", "m:9: admin.listen nowhere is not host:port"},
                           Case{"http.listen", "127.0.0.1:7402", "m:9: http.listen 127.0.0.1:7402 and admin.listen"},
                           Case{"http.listen", "0.0.0.0:7402", "want the same port"},
                           Case{"log.file", "nodir/x.log", "m:9: log.file nodir/x.log cannot be opened"},
                           Case{"log.file", "/", "m:9: log.file / cannot be opened"}}) {
    options_ = ServerOptions();
    ASSERT_TRUE(registry_.Set(each.option, each.value, "m:9"));
    const auto checked = CheckServerOptions(options_, registry_);
    ASSERT_FALSE(checked) << each.option << " = " << each.value;
    EXPECT_THAT(checked.error().message, ::testing::StartsWith("m:9: "));
    EXPECT_THAT(checked.error().message, HasSubstr(each.told));
  }
}

class MariadbServerOptionsTest : public ServerOptionsTest {
 protected:
  void SetUp() override {
    ServerOptionsTest::SetUp();
    ASSERT_TRUE(registry_.Set("store.kind", "mariadb", "m:1"));
    SetGroups({"db:3306"});
  }
  void SetGroups(const std::vector<std::string>& primaries) {
    std::vector<OptionTable> tables;
    for (const std::string& primary : primaries) tables.push_back({{{"primary", primary, "m:8"}}});
    ASSERT_TRUE(registry_.SetTables("store.mariadb.groups", tables, "m:7"));
  }
  std::string Refusal() const {
    const auto checked = CheckServerOptions(options_, registry_);
    return checked ? "" : checked.error().message;
  }
};

// Other processes write, too: nothing that they do not know of may answer.
TEST_F(MariadbServerOptionsTest, NothingIsKeptInMemoryAndNoReadIsShared) {
  EXPECT_EQ(Refusal(), "");
  EXPECT_EQ(options_.read_route(), "store");
  EXPECT_FALSE(options_.near_cache().enabled);
  options_.store_kind = "sqlite";
  EXPECT_EQ(options_.read_route(), "cache(near, coalesce(store))");
  EXPECT_TRUE(options_.near_cache().enabled);
}

TEST_F(MariadbServerOptionsTest, RoutesThatKeepOrShareAreRefused) {
  for (const char* route : {"coalesce(store)", "cache(near, store)"}) {
    ASSERT_TRUE(registry_.Set("routes.read", route, "m:9"));
    EXPECT_THAT(Refusal(), ::testing::StartsWith("m:9: routes.read is")) << route;
  }
  ASSERT_TRUE(registry_.Set("routes.read", "store", "m:9"));
  EXPECT_EQ(Refusal(), "");
}

TEST_F(MariadbServerOptionsTest, GroupsAreNamedOnceAndWithTheirServers) {
  SetGroups({});
  EXPECT_THAT(Refusal(), ::testing::StartsWith("m:1: store.kind is mariadb and there are no groups"));
  SetGroups({"db:3306", "nowhere"});
  EXPECT_THAT(Refusal(), ::testing::StartsWith("m:7: store.mariadb.groups[1].primary: \"nowhere\""));
  SetGroups({"db:3306", "db:3306"});
  EXPECT_THAT(Refusal(), HasSubstr("store.mariadb.groups[1] is the same database as store.mariadb.groups[0]"));
  SetGroups({"db:3306"});
  ASSERT_TRUE(registry_.Set("store.mariadb.lock_wait", "9s", "m:5"));
  EXPECT_THAT(Refusal(), ::testing::StartsWith("m:5: store.mariadb.lock_wait is longer"));
}

TEST_F(MariadbServerOptionsTest, GroupsOfAnotherKindAreRefused) {
  options_.store_kind = "sqlite";
  EXPECT_THAT(Refusal(), ::testing::StartsWith("m:7: store.mariadb.groups are named and store.kind is sqlite"));
}

TEST_F(ServerOptionsTest, AKindThatIsNoneIsRefusedWithItsPlace) {
  ASSERT_TRUE(registry_.SetTables("identity.kinds", {OptionTable{{{"name", "Loyalty", "m:2"}}}}, "m:1"));
  const auto checked = CheckServerOptions(options_, registry_);
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().message, HasSubstr("m:1: identity.kinds[0].name must be a lower-case word"));
}

TEST_F(ServerOptionsTest, FreePortsAndALogInAFolderWillDo) {
  options_.http.listen = "127.0.0.1:0";
  options_.admin.listen = "127.0.0.1:0";
  options_.log_file = "new.log";
  EXPECT_TRUE(CheckServerOptions(options_, registry_));
  options_.log_file = "/dev/null";
  EXPECT_TRUE(CheckServerOptions(options_, registry_));
}

TEST_F(ServerOptionsTest, TheKeyringLiesInTheDataUnlessNamed) {
  options_.data_directory = "/srv/m";
  EXPECT_EQ(options_.keyring_path(), "/srv/m/keyring");
  options_.keyring_file = "/secrets/ring";
  EXPECT_EQ(options_.keyring_path(), "/secrets/ring");
}

TEST(ReferencePagesTest, NameEveryRow) {
  EXPECT_THAT(OptionsReference(), HasSubstr("`cache.near.bytes`"));
  EXPECT_THAT(OptionsReference(), HasSubstr("[[identity.kinds]]"));
  for (const ReasonDescription& row : AllReasons()) EXPECT_THAT(ErrorsReference(), HasSubstr(std::string(row.code)));
  for (const ExitCodeDescription& row : AllExitCodes())
    EXPECT_THAT(ExitCodesReference(), HasSubstr(std::string(row.meaning)));
}

TEST(ReferencePagesTest, MetricsAreThoseOfAWholeServer) {
  const auto page = MetricsReference();
  ASSERT_TRUE(page) << page.error().message;
  for (const char* name : {"muster_http_", "muster_store_", "muster_cache_", "muster_store_sweep"})
    EXPECT_THAT(*page, HasSubstr(name));
}

TEST(ExitCodeTest, EveryReasonOfAServerHasOne) {
  EXPECT_EQ(ExitCodeOf(Reason::kMemberNotFound), ExitCode::kNotFound);
  EXPECT_EQ(ExitCodeOf(Reason::kIdentityNotFound), ExitCode::kNotFound);
  EXPECT_EQ(ExitCodeOf(Reason::kIdentityTaken), ExitCode::kRefused);
  EXPECT_EQ(ExitCodeOf(Reason::kUnauthenticated), ExitCode::kRefused);
  EXPECT_EQ(ExitCodeOf(Reason::kOverloaded), ExitCode::kUnavailable);
  EXPECT_EQ(ExitCodeOf(Reason::kOutcomeUnknown), ExitCode::kUnavailable);
  EXPECT_EQ(ExitCodeOf(Reason::kInternal), ExitCode::kFailure);
}

}  // namespace
}  // namespace muster
