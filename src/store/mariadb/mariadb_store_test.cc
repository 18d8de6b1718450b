// The binding protocol on MariaDB groups; opening them: what is refused, and with which words.

#include "store/mariadb/mariadb_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "base/timer.h"
#include "domain/id_allocator.h"
#include "domain/ports/shard_store_testing.h"
#include "domain/testing/members.h"
#include "store/binding.h"
#include "store/mariadb/testing/mariadb_fixture.h"
#include "store/mariadb/upkeep.h"

namespace muster::mariadb_store_test {
namespace {

using ::testing::HasSubstr;
using testing::MariadbHarness;
using testing::SharedMariadb;

template <typename T>
T Wait(Task<T> task) {
  std::promise<T> promise;
  Spawn(std::move(task), [&](T value) { promise.set_value(std::move(value)); });
  return promise.get_future().get();
}

std::string MessageOf(const Result<void>& result) { return result ? "" : result.error().message; }

TEST(MariadbAnswers, WhoKeepsManyLeavesRoomForOthers) {
  MariadbHarness harness(1);
  harness.options.answers = {.answers_max = 8};
  harness.MustOpen();
  const KeptAnswer answer{.fingerprint = RequestHash{{9}},
                          .member = contract::PlainMember(contract::MemberIn(harness.store->shards(), 0, 0))};
  const auto keep = [&](std::uint8_t owner, std::uint8_t number) {
    return contract::RunAndWait(harness.store->shards(), 0, [&](ShardTransaction& transaction) {
      return transaction.records().WriteAnswer({{0, 0, 0, owner, number}}, answer);
    });
  };
  for (std::uint8_t number = 0; number < 4; ++number) ASSERT_TRUE(keep(1, number));
  EXPECT_EQ(keep(1, 4).error().reason, Reason::kRateLimited);
  ASSERT_TRUE(keep(2, 0));
  harness.MustOpen();  // counts what is there
  EXPECT_EQ(keep(1, 4).error().reason, Reason::kRateLimited);
  EXPECT_TRUE(keep(3, 0));
  EXPECT_THAT(harness.metrics->Expose(), HasSubstr("muster_store_group_answers_kept{group=\"0\"} 6"));
}

TEST(MariadbAnswers, AreCountedAPageAtATime) {
  MariadbHarness harness(1);
  harness.MustOpen();
  const auto connection = SharedMariadb().Connect(harness.options.groups[0].database);
  // Eleven of two callers, two of them of one microsecond.
  for (int i = 0; i < 11; ++i) {
    const std::string owner = i % 3 == 0 ? "x'00000001" : "x'00000002";
    ASSERT_TRUE(connection->Execute("INSERT INTO record VALUES (1024, 1, " + owner + "0000000000000000000000" +
                                    (i < 10 ? "0" : "1") + std::to_string(i % 10) + "', " +
                                    std::to_string(i == 4 ? 1003 : 1000 + i) + ", 'x')"));
  }
  AnswerShares shares({.answers_max = 100});
  mariadb::AnswerCount count(shares, 4);
  ASSERT_TRUE(count.GoOn(*connection, harness.system_clock, Duration(0)));
  EXPECT_EQ(shares.kept(), 0) << "one page, and it has not been through";
  ASSERT_TRUE(count.GoOn(*connection, harness.system_clock, Duration(0)));
  ASSERT_TRUE(count.GoOn(*connection, harness.system_clock, Duration(0)));
  EXPECT_EQ(shares.kept(), 11);
  const AnswerOwner first = OwnerOf(RequestHash{{0, 0, 0, 1}});
  shares.Return(first, 100);
  EXPECT_EQ(shares.kept(), 7) << "the other one's";
  ASSERT_TRUE(count.GoOn(*connection, harness.system_clock, std::chrono::minutes(1)));
  EXPECT_EQ(shares.kept(), 11) << "begun anew, and through at once";
}

// Threads register members that all hold two of a few identities, and bind and unbind what others have: over two
// groups, no identity may have two holders.
TEST(MariadbBinding, AnIdentityHasOneHolderOverGroupsWhoeverRaces) {
  constexpr int kThreads = 8;
  constexpr std::uint64_t kIdentities = 6;
  constexpr int kRounds = 12;
  MariadbHarness harness(2);
  harness.MustOpen();
  ThreadTimer timer;
  IdAllocator ids(harness.system_clock, 0, 1);
  const auto writer = MakeBindingWriter({.shards = &harness.store->shards(),
                                         .catalog = &harness.catalog,
                                         .ids = &ids,
                                         .clock = &harness.system_clock,
                                         .timer = &timer});
  std::atomic<int> registered{0};
  std::atomic<int> taken{0};
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      SeededRandom random(static_cast<std::uint64_t>(thread) + 1);
      for (int round = 0; round < kRounds; ++round) {
        Member member;
        const std::uint64_t first = random.Below(kIdentities);
        member.identities.push_back(testing::MakeIdentity(first));
        member.identities.push_back(testing::MakeIdentity((first + 1 + random.Below(kIdentities - 1)) % kIdentities));
        const Result<Member> made = Wait(writer->Register(std::move(member), false, {}));
        if (!made) {
          EXPECT_TRUE(made.error().reason == Reason::kIdentityTaken || made.error().reason == Reason::kOverloaded)
              << made.error().code() << ": " << made.error().message;
          taken.fetch_add(1);
          continue;
        }
        registered.fetch_add(1);
        const Identity other = testing::MakeIdentity(random.Below(kIdentities));
        static_cast<void>(Wait(writer->Bind(made->id, other, {})));
        // So that others may come again.
        for (const Identity& identity : made->identities) {
          static_cast<void>(Wait(writer->Unbind(made->id, identity.key, {})));
        }
        static_cast<void>(Wait(writer->Unbind(made->id, other.key, {})));
      }
    });
  }
  threads.clear();
  EXPECT_GT(registered.load(), 0);
  EXPECT_GT(taken.load(), 0);
  std::map<IdentityKey, MemberId> holders;
  const auto members = harness.store->archive().ScanMembers(MemberId(0), 10'000);
  ASSERT_TRUE(members);
  for (const Member& member : *members) {
    for (const Identity& identity : member.identities) {
      EXPECT_TRUE(holders.try_emplace(identity.key, member.id).second) << "two members hold one identity";
    }
  }
  harness.store->Close();
}

TEST(MariadbStore, WhatWasWrittenIsThereWhenItIsOpenedAgain) {
  MariadbHarness harness(2);
  harness.MustOpen();
  const MemberId id = contract::MemberIn(harness.store->shards(), 1, 0);
  const Member member = contract::FullMember(id, contract::KeyIn(harness.store->shards(), 1, 0));
  ASSERT_TRUE(contract::RunAndWait(harness.store->shards(), 1, [&](ShardTransaction& rows) {
    return rows.WriteMember(member, contract::ChangeOf(member));
  }));
  harness.MustOpen();
  EXPECT_EQ(harness.store->archive().ReadMembers(std::vector{id}), std::vector{member});
  EXPECT_GE(harness.store->newest_number(), id.value());
}

TEST(MariadbStore, NoPersonalValueIsInATable) {
  MariadbHarness harness(1);
  harness.MustOpen();
  Member member = contract::FullMember(MemberId(1), contract::KeyIn(harness.store->shards(), 0, 0));
  ASSERT_TRUE(contract::RunAndWait(harness.store->shards(), 0, [&](ShardTransaction& rows) {
    return rows.WriteMember(member, contract::ChangeOf(member));
  }));
  EXPECT_EQ(
      harness.server.ReadInteger("SELECT COUNT(*) FROM member WHERE record LIKE '%oA1b2%' OR record LIKE '%李雷雷%'",
                                 harness.Database(0)),
      0);
}

TEST(MariadbStore, AServerThatIsNotThereIsNamed) {
  MariadbHarness harness(1);
  harness.options.groups[0].primary = "unix:/nowhere/socket";
  const Result<void> opened = harness.Open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason, Reason::kWritesUnavailable);
  EXPECT_THAT(opened.error().message, HasSubstr("unix:/nowhere/socket"));
  EXPECT_THAT(opened.error().message, HasSubstr("is it running"));
  harness.gives_back = false;
}

TEST(MariadbStore, OptionsThatDoNotFitAreRefused) {
  MariadbHarness harness(1);
  harness.gives_back = false;
  const auto groups = harness.options.groups;
  harness.options.groups.clear();
  EXPECT_THAT(MessageOf(harness.Open()), HasSubstr("store.mariadb.groups"));
  harness.options.groups = {{.primary = "nowhere", .replicas = {}, .database = "muster"}};
  EXPECT_THAT(MessageOf(harness.Open()), HasSubstr("host:port"));
  harness.options.groups = groups;
  harness.options.lock_wait_ms = harness.options.statement_timeout_ms + 1;
  EXPECT_THAT(MessageOf(harness.Open()), HasSubstr("store.mariadb.lock_wait"));
}

TEST(MariadbStore, ItsOptionsAreDeclared) {
  MariadbOptions options;
  OptionRegistry registry;
  options.Declare(registry);
  EXPECT_TRUE(registry.SetTables("store.mariadb.groups",
                                 {{.cells = {{"primary", std::string("db:3306"), "file:1"},
                                             {"replicas", std::vector<std::string>{"other:3306"}, "file:2"}}}},
                                 "file:1"));
  EXPECT_TRUE(registry.Set("store.mariadb.lock_wait", "3s", "file:3"));
  ASSERT_EQ(options.groups.size(), 1U);
  EXPECT_EQ(options.groups[0].primary, "db:3306");
  EXPECT_EQ(options.groups[0].replicas, std::vector<std::string>{"other:3306"});
  EXPECT_EQ(options.groups[0].database, "muster");
  EXPECT_EQ(options.lock_wait_ms, 3'000);
  EXPECT_FALSE(options.allow_unsafe_settings);
}

TEST(MariadbStore, WrongCredentialsAreSaidWithoutThePassword) {
  testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/password";
  std::ofstream(path) << "not-the-password\n";
  MariadbHarness harness(1);
  harness.gives_back = false;
  harness.options.user = "nobody";
  harness.options.password_file = path;
  const Result<void> opened = harness.Open();
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("refuses the account"));
  EXPECT_EQ(opened.error().message.find("not-the-password"), std::string::npos);
  harness.options.password_file = directory.path() + "/missing";
  EXPECT_THAT(MessageOf(harness.Open()), HasSubstr("password_file"));
}

TEST(MariadbStore, AnAccountWithAPasswordOverTcpWorksAndNeedsItsGrants) {
  SharedMariadb().Execute("CREATE OR REPLACE USER app@'127.0.0.1' IDENTIFIED BY 'sesame'");
  testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/password";
  std::ofstream(path) << "sesame\n";
  MariadbHarness harness(1);
  harness.options.groups[0].primary = SharedMariadb().tcp_address();
  harness.options.user = "app";
  harness.options.password_file = path;
  EXPECT_THAT(MessageOf(harness.Open()), HasSubstr("grants"));
  SharedMariadb().Execute("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON " + harness.Database(0) +
                          ".* TO app@'127.0.0.1'");
  EXPECT_EQ(MessageOf(harness.Open()), "");
}

TEST(MariadbStore, ADatabaseThatIsNotThereIsNamed) {
  MariadbHarness harness(1);
  harness.gives_back = false;
  const std::string database = std::exchange(harness.options.groups[0].database, "nowhere");
  EXPECT_THAT(MessageOf(harness.Open()), HasSubstr("create the database"));
  harness.options.groups[0].database = database;
}

TEST(MariadbStore, ANewerSchemaIsRefusedAndUntouched) {
  MariadbHarness harness(2);
  harness.MustOpen();
  harness.store.reset();
  harness.server.Execute("UPDATE meta SET value = '99' WHERE name = 'schema_version'", harness.Database(1));
  EXPECT_THAT(MessageOf(harness.Open()), HasSubstr("start the newer muster"));
  EXPECT_EQ(harness.server.ReadInteger("SELECT value FROM meta WHERE name = 'schema_version'", harness.Database(1)),
            99);
  harness.server.Execute("UPDATE meta SET value = '1' WHERE name = 'schema_version'", harness.Database(1));
  harness.MustOpen();
}

TEST(MariadbStore, AMigrationThatACrashLeftHalfDoneIsFinished) {
  MariadbHarness harness(1);
  harness.MustOpen();
  harness.store.reset();
  harness.server.Execute("DELETE FROM meta WHERE name = 'schema_version'", harness.Database(0));
  harness.server.Execute("DROP TABLE record", harness.Database(0));
  harness.MustOpen();
  EXPECT_EQ(harness.server.ReadInteger("SELECT COUNT(*) FROM record", harness.Database(0)), 0);
}

TEST(MariadbStore, SeveralProcessesMakeTheTablesOfOneInstallation) {
  MariadbHarness harness(2);
  harness.gives_back = false;
  for (const auto& group : harness.options.groups) {
    harness.server.Execute("DROP DATABASE " + group.database);
    harness.server.Execute("CREATE DATABASE " + group.database);
  }
  harness.options.connections = 1;
  constexpr int kProcesses = 4;
  std::vector<MetricRegistry> registries(kProcesses);
  std::vector<Result<std::unique_ptr<MariadbStore>>> stores(kProcesses);
  {
    std::vector<std::jthread> processes;
    for (std::size_t i = 0; i < kProcesses; ++i) {
      processes.emplace_back([&, i] {
        MariadbDependencies dependencies = harness.Dependencies();
        dependencies.metrics = &registries[i];
        stores[i] = MariadbStore::Open(harness.options, dependencies);
      });
    }
  }
  for (const auto& store : stores) EXPECT_TRUE(store) << store.error().message;
  // What one writes the others read, and no two write at once.
  ASSERT_TRUE(contract::RunAndWait((*stores[0])->shards(), 0, [&](ShardTransaction& rows) {
    return rows.WriteLookup(contract::KeyIn((*stores[0])->shards(), 0, 0), LookupRow{MemberId(1), OperationId(1)});
  }));
  EXPECT_EQ((*stores[3])->shard_upkeep().ScanLookups(0, {}, 10)->size(), 1U);
}

TEST(MariadbStore, OtherTablesAnotherInstallationKeyringOrderAndNumberOfGroupsAreRefused) {
  MariadbHarness foreign(1);
  foreign.gives_back = false;
  foreign.server.Execute("CREATE TABLE IF NOT EXISTS orders(id INT)", foreign.Database(0));
  foreign.server.Execute("DROP TABLE IF EXISTS meta", foreign.Database(0));
  EXPECT_THAT(MessageOf(foreign.Open()), HasSubstr("not a database of muster"));

  MariadbHarness harness(2);
  harness.MustOpen();
  MariadbHarness other(2);
  other.MustOpen();
  other.store.reset();
  harness.store.reset();
  const auto groups = harness.options.groups;
  harness.options.groups[1] = other.options.groups[1];
  EXPECT_THAT(MessageOf(harness.Open()), HasSubstr("another installation"));
  harness.options.groups = {groups[1], groups[0]};
  EXPECT_THAT(MessageOf(harness.Open()), HasSubstr("in the order in which they were made"));
  harness.options.groups = {groups[0]};
  EXPECT_THAT(MessageOf(harness.Open()), HasSubstr("other shards"));
  harness.options.groups = groups;
  harness.keyring = Keyring::Generate(harness.random);
  EXPECT_THAT(MessageOf(harness.Open()), HasSubstr("another keyring"));
  harness.keyring = testing::TestKeyring();
  harness.MustOpen();
}

TEST(MariadbStore, UnsafeSettingsAreRefusedUnlessAllowed) {
  MariadbHarness harness(1);
  harness.options.allow_unsafe_settings = false;
  const Result<void> opened = harness.Open();
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("innodb_flush_log_at_trx_commit"));
  EXPECT_THAT(opened.error().message, HasSubstr("allow_unsafe_settings"));
  harness.options.allow_unsafe_settings = true;
  harness.MustOpen();
}

TEST(MariadbStore, EachDataDirectoryHasANumberOfItsOwnForEver) {
  MariadbHarness harness(2);
  const auto open = [&](const std::string& owner, MetricRegistry& metrics) {
    MariadbDependencies dependencies = harness.Dependencies();
    dependencies.metrics = &metrics;
    dependencies.node_owner = owner;
    return MariadbStore::Open(harness.options, dependencies);
  };
  harness.options.connections = 1;
  std::vector<MetricRegistry> metrics(5);
  {
    const auto one = open("one", metrics[0]);
    const auto two = open("two", metrics[1]);
    ASSERT_TRUE(one && two);
    EXPECT_EQ((*one)->node(), 0);
    EXPECT_EQ((*two)->node(), 1);
    const auto copy = open("two", metrics[2]);
    ASSERT_FALSE(copy) << "two processes would make the same ids";
    EXPECT_THAT(copy.error().message, HasSubstr("uses a copy of this data directory"));
  }
  // Also one whose lock is gone keeps its number.
  const auto again = open("two", metrics[3]);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ((*again)->node(), 1);
  std::string rows;
  for (int node = 2; node < 255; ++node)
    rows += (rows.empty() ? "(" : ", (") + std::to_string(node) + ", 'o" + std::to_string(node) + "')";
  harness.server.Execute("INSERT INTO node(node, owner) VALUES" + rows, harness.Database(0));
  const auto beyond = open("three", metrics[4]);
  ASSERT_FALSE(beyond);
  EXPECT_THAT(beyond.error().message, HasSubstr("delete the rows of directories that are gone"));
}

TEST(MariadbStore, AnEarlierClockOfTheServerIsTheClockOfTheGroup) {
  MariadbHarness harness(1);
  harness.MustOpen();
  const Timestamp now = harness.store->shards().Now(0);
  const Timestamp here = harness.system_clock.Now();
  EXPECT_LT(now > here ? now - here : here - now, std::chrono::seconds(1));
}

TEST(MariadbStore, TooManyConnectionsAreSaid) {
  testing::MariadbServer server({"--max-connections=10"});
  MariadbHarness harness(1, server);
  harness.options.connections = 1;
  harness.options.readers = 1;
  harness.MustOpen();
  std::vector<std::unique_ptr<mariadb::Connection>> others;
  for (;;) {
    auto one = mariadb::Connection::Open(*mariadb::Endpoint::Parse(server.address()), {.user = "root", .password = {}},
                                         "", {}, mariadb::Use::kRead);
    if (!one) {
      EXPECT_EQ(one.error().reason, Reason::kOverloaded);
      EXPECT_THAT(one.error().message, HasSubstr("max_connections"));
      break;
    }
    others.push_back(*std::move(one));
    ASSERT_LT(others.size(), 20U);
  }
  // Those that there are go on.
  EXPECT_TRUE(contract::RunAndWait(harness.store->shards(), 0, [](ShardTransaction&) { return Result<void>(); }));
  others.clear();
}

}  // namespace
}  // namespace muster::mariadb_store_test
