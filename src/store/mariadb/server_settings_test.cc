#include "store/mariadb/server_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "store/mariadb/testing/mariadb_fixture.h"

namespace muster::mariadb {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;

// As docs say a primary with replicas has to run.
ServerSettings Safe() {
  return {.variables = {{"innodb_flush_log_at_trx_commit", "1"},
                        {"innodb_doublewrite", "ON"},
                        {"wsrep_on", "OFF"},
                        {"log_bin", "ON"},
                        {"sync_binlog", "1"},
                        {"binlog_format", "ROW"},
                        {"gtid_strict_mode", "ON"},
                        {"log_slave_updates", "ON"},
                        {"rpl_semi_sync_master_enabled", "ON"},
                        {"rpl_semi_sync_master_wait_point", "AFTER_SYNC"},
                        {"rpl_semi_sync_master_timeout", "4294967295"},
                        {"rpl_semi_sync_master_wait_no_slave", "ON"},
                        {"read_only", "OFF"},
                        {"character_set_server", "utf8mb4"},
                        {"sql_mode", "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION"}},
          .read_only_origin = "SQL",
          .grants = {"GRANT USAGE ON *.* TO `muster`@`%`",
                     "GRANT SELECT, INSERT, UPDATE, DELETE ON `muster`.* TO `muster`@`%`"}};
}

std::vector<std::string> NamesIn(const std::vector<SettingFinding>& findings, bool unsafe_alone = true) {
  std::vector<std::string> names;
  for (const SettingFinding& finding : findings) {
    if (finding.is_unsafe || !unsafe_alone) names.push_back(finding.variable);
  }
  return names;
}

TEST(ServerSettings, WhatIsRecommendedIsSafe) {
  EXPECT_THAT(CheckServerSettings(Safe(), Replication::kByHand), IsEmpty());
  EXPECT_THAT(CheckServerSettings(Safe(), Replication::kNone), IsEmpty());
}

TEST(ServerSettings, EachUnsafeOneIsNamedWithItsFix) {
  const std::pair<const char*, const char*> unsafe[] = {{"innodb_flush_log_at_trx_commit", "2"},
                                                        {"innodb_doublewrite", "OFF"},
                                                        {"wsrep_on", "ON"},
                                                        {"sync_binlog", "0"},
                                                        {"binlog_format", "MIXED"},
                                                        {"gtid_strict_mode", "OFF"},
                                                        {"log_slave_updates", "OFF"},
                                                        {"rpl_semi_sync_master_enabled", "OFF"},
                                                        {"rpl_semi_sync_master_wait_point", "AFTER_COMMIT"},
                                                        {"rpl_semi_sync_master_timeout", "10000"},
                                                        {"rpl_semi_sync_master_wait_no_slave", "OFF"}};
  for (const auto& [variable, value] : unsafe) {
    ServerSettings settings = Safe();
    settings.variables[variable] = value;
    const auto findings = CheckServerSettings(settings, Replication::kByHand);
    ASSERT_THAT(NamesIn(findings), ElementsAre(variable));
    EXPECT_EQ(findings[0].value, value);
    EXPECT_THAT(findings[0].fix, HasSubstr(std::string(variable) + " = "));
    EXPECT_THAT(findings[0].Describe(), HasSubstr("unsafe: "));
  }
}

TEST(ServerSettings, WhatOnlyReplicasNeedIsAskedOfThoseThatHaveSome) {
  ServerSettings settings = Safe();
  settings.variables["log_bin"] = "OFF";
  settings.variables["sync_binlog"] = "0";
  settings.variables["rpl_semi_sync_master_enabled"] = "OFF";
  settings.read_only_origin = "COMPILE-TIME";
  EXPECT_THAT(CheckServerSettings(settings, Replication::kNone), IsEmpty());
  EXPECT_THAT(NamesIn(CheckServerSettings(settings, Replication::kByHand)),
              ElementsAre("log_bin", "rpl_semi_sync_master_enabled", "read_only"));
}

TEST(ServerSettings, AnAccountThatWritesToReadOnlyServersIsUnsafe) {
  for (const char* const grant :
       {"GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`", "GRANT SUPER, RELOAD ON *.* TO `muster`@`%`",
        "GRANT READ ONLY ADMIN ON *.* TO `muster`@`%`"}) {
    ServerSettings settings = Safe();
    settings.grants.emplace_back(grant);
    EXPECT_THAT(NamesIn(CheckServerSettings(settings, Replication::kNone)), ElementsAre("the account's grants"))
        << grant;
  }
}

TEST(ServerSettings, AClockThatIsWrongIsUnsafeAndALooseModeIsAdvice) {
  ServerSettings settings = Safe();
  settings.clock_offset = -std::chrono::seconds(3);
  settings.variables["sql_mode"] = "";
  settings.variables["character_set_server"] = "latin1";
  const auto findings = CheckServerSettings(settings, Replication::kNone);
  EXPECT_THAT(NamesIn(findings), ElementsAre("the clock"));
  EXPECT_THAT(NamesIn(findings, false), ElementsAre("the clock", "character_set_server", "sql_mode"));
}

TEST(ServerSettings, ARealServerIsRead) {
  const SystemClock clock;
  auto connection = testing::SharedMariadb().Connect();
  const auto settings = ReadServerSettings(*connection, clock);
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->variables.at("innodb_flush_log_at_trx_commit"), "2");
  EXPECT_EQ(settings->read_only_origin, "COMPILE-TIME");
  EXPECT_LT(std::chrono::abs(settings->clock_offset), std::chrono::seconds(1));
  // Debian's defaults for a primary with replicas, and root.
  const auto names = NamesIn(CheckServerSettings(*settings, Replication::kByHand));
  EXPECT_THAT(names, IsSupersetOf({"innodb_flush_log_at_trx_commit", "log_bin", "rpl_semi_sync_master_enabled",
                                   "read_only", "the account's grants"}));
  EXPECT_THAT(names, Not(Contains("wsrep_on")));
}

}  // namespace
}  // namespace muster::mariadb
