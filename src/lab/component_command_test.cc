#include "lab/component_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "lab/database_template.h"
#include "lab/lab_directory.h"
#include "lab/testing/temporary_place.h"

namespace muster::lab {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const Programs kTestPrograms{.muster = "/bin/muster",
                             .etcd = "/bin/etcd",
                             .mariadbd = "/bin/mariadbd",
                             .mariadb_install = "/bin/mariadb-install-db",
                             .redis = "/bin/redis-server",
                             .fake_time = "/lib/libfaketimeMT.so.1"};

class ComponentCommandTest : public ::testing::Test {
 protected:
  ProcessSpec Of(const std::string& name, const StartTerms& terms = {}) const {
    return ProcessOf(layout_, kTestPrograms, *layout_.Find(name), terms);
  }
  std::string Remote(const std::string& name) const { return Layout::Address(layout_.Find(name)->remote_port); }
  std::string Direct(const std::string& name) const { return Layout::Address(layout_.Find(name)->port); }

  const Layout layout_{"/lab", 2, 20'000};
};

TEST_F(ComponentCommandTest, VotersFindEachOtherThroughTheProxy) {
  std::string cluster = "--initial-cluster=";
  for (const Component* const voter : layout_.All(Kind::kEtcd)) {
    cluster +=
        (cluster.ends_with('=') ? "" : ",") + voter->name + "=http://" + Layout::Address(voter->remote_peer_port);
  }
  const ProcessSpec spec = Of("etcd-b");
  EXPECT_THAT(spec.command, AllOf(Contains(cluster), Contains("--pre-vote"), Contains("--election-timeout=500")));
  EXPECT_THAT(spec.command,
              Contains("--listen-peer-urls=http://" + Layout::Address(layout_.Find("etcd-b")->peer_port)));
}

TEST_F(ComponentCommandTest, ADatabaseStartsReadOnlyAndAsItIsTold) {
  const ProcessSpec as_primary = Of("mariadb-a1");
  EXPECT_THAT(as_primary.command,
              AllOf(Contains("--read-only=ON"), Contains("--skip-slave-start=ON"), Contains("--sync-binlog=1"),
                    Contains("--innodb-flush-log-at-trx-commit=1"), Contains("--rpl-semi-sync-slave-enabled=OFF"),
                    Not(Contains("--init-rpl-role=SLAVE"))));
  const ProcessSpec as_replica = Of("mariadb-a1", {.as_replica = true});
  EXPECT_THAT(as_replica.command, AllOf(Contains("--init-rpl-role=SLAVE"), Contains("--rpl-semi-sync-slave-enabled=ON"),
                                        Not(Contains("--rpl-semi-sync-slave-enabled=OFF"))));
  EXPECT_THAT(Of("mariadb-2-b2").command, Contains("--server-id=8"));
}

TEST_F(ComponentCommandTest, AClockIsOffByLibfaketimeAndMonotonicTimeIsNot) {
  const ProcessSpec spec = Of("muster-a1", {.clock_offset = std::chrono::milliseconds(-1'500)});
  EXPECT_THAT(spec.environment, AllOf(Contains("FAKETIME=-1.500000"), Contains("FAKETIME_DONT_FAKE_MONOTONIC=1"),
                                      Contains("LD_PRELOAD=/lib/libfaketimeMT.so.1")));
  EXPECT_THAT(Of("mariadb-a1", {.clock_offset = std::chrono::seconds(5)}).environment,
              AllOf(Contains("FAKETIME=+5.000000"), Contains("LD_PRELOAD=/lab/full-disk.so:/lib/libfaketimeMT.so.1")));
  EXPECT_THAT(Of("muster-a1").environment, Not(Contains(StartsWith("LD_PRELOAD="))));
}

TEST_F(ComponentCommandTest, AFullDiskIsOneOfTwoKinds) {
  EXPECT_TRUE(Of("etcd-a", {.has_full_disk = true}).cannot_write);
  EXPECT_FALSE(Of("etcd-a").cannot_write);
  const ProcessSpec database = Of("mariadb-a1", {.has_full_disk = true});
  EXPECT_FALSE(database.cannot_write);
  EXPECT_THAT(database.environment, Contains("MUSTER_LAB_DISK_IS_FULL=/lab/mariadb-a1/disk-is-full"));
}

TEST_F(ComponentCommandTest, WhatConfiguresMusterIsKeptAway) {
  ::setenv("MUSTER_HTTP__LISTEN", "127.0.0.1:1", 1);
  ::setenv("LAB_TEST_OTHER", "kept", 1);
  const auto environment = CleanEnvironment();
  ::unsetenv("MUSTER_HTTP__LISTEN");
  ::unsetenv("LAB_TEST_OTHER");
  EXPECT_THAT(environment, Not(Contains(StartsWith("MUSTER_"))));
  EXPECT_THAT(environment, Contains("LAB_TEST_OTHER=kept"));
}

TEST_F(ComponentCommandTest, AServerReachesItsOwnCenterDirectlyAndOthersThroughTheProxy) {
  const std::string text = MusterConfiguration(layout_, *layout_.Find("muster-b1"));
  EXPECT_THAT(text, HasSubstr("[center]\nname = \"B\""));
  // Its own voter is asked first.
  EXPECT_THAT(text, HasSubstr("endpoints = [\"http://" + Direct("etcd-b") + "\", \"http://" + Remote("etcd-a") +
                              "\", \"http://" + Remote("etcd-w") + "\"]"));
  EXPECT_THAT(text, HasSubstr("center = \"A\"\nendpoints = [\"" + Remote("redis-a") + "\"]"));
  EXPECT_THAT(text, HasSubstr("center = \"B\"\nendpoints = [\"" + Direct("redis-b") + "\"]"));
  EXPECT_THAT(text, HasSubstr("keyring_file = \"/lab/secrets/keyring\""));
  EXPECT_THAT(text, HasSubstr("replica_password_file = \"/lab/secrets/replica-password\""));
}

TEST_F(ComponentCommandTest, EachReplicaHasAnAccount) {
  const testing::TemporaryPlace place;
  const Layout layout(place.path(), 2, 20'000);
  SystemRandom random;
  ASSERT_TRUE(EnsureSecrets(layout, random));
  const std::string sql = *AccountsSql(layout);
  for (const Component* const database : layout.All(Kind::kMariadb)) {
    EXPECT_THAT(sql, HasSubstr("GRANT REPLICATION SLAVE ON *.* TO 'repl_" + database->name + "'@'127.0.0.1'"));
  }
  EXPECT_THAT(sql, HasSubstr(*ReadSecret(layout, "store-password")));
}

}  // namespace
}  // namespace muster::lab
