// The stream of changes over groups: every change once, at its position, whoever leads, crashes, or stands still.

#include "store/mariadb/relay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "domain/ports/change_feed_contract.h"
#include "domain/ports/shard_store_testing.h"
#include "store/mariadb/testing/mariadb_fixture.h"
#include "store/sweeper.h"

namespace muster::mariadb_relay_test {
namespace {

using testing::MariadbHarness;
using testing::MariadbServer;
using testing::WaitUntil;

Result<void> Write(MemberStore& store, std::int64_t id, std::int64_t version) {
  const Member member = contract::PlainMember(MemberId(id), Version(version));
  const ChangeType type = version == 1 ? ChangeType::kRegistered : ChangeType::kUpdated;
  return contract::RunAndWait(store.shards(), store.shards().DatabaseOf(member.id), [&](ShardTransaction& rows) {
    return rows.WriteMember(member, contract::ChangeOf(member, type));
  });
}

std::vector<ChangeEvent> ReadAll(MemberStore& store, std::int64_t after = 0) {
  return contract::ReadChanges(store.change_feed(), 100, after);
}

// Positions without a gap, versions of each member one after the other; answers the last version of each.
std::map<MemberId, std::int64_t> CheckOrder(const std::vector<ChangeEvent>& events, std::int64_t after = 0) {
  std::map<MemberId, std::int64_t> versions;
  for (const ChangeEvent& event : events) {
    EXPECT_EQ(event.position, ++after);
    EXPECT_EQ(event.version.value(), ++versions[event.member_id]) << "member " << event.member_id.value();
  }
  return versions;
}

// Another process on the databases of a harness.
struct Other {
  explicit Other(MariadbHarness& harness) {
    MariadbDependencies dependencies = harness.Dependencies();
    dependencies.metrics = &metrics;
    auto opened = MariadbStore::Open(harness.options, dependencies);
    EXPECT_TRUE(opened) << opened.error().message;
    store = *std::move(opened);
  }
  MetricRegistry metrics;
  std::unique_ptr<MariadbStore> store;
};

TEST(MariadbRelay, TwoProcessesWriteAndNothingIsMissedOrTwice) {
  constexpr std::int64_t kWriters = 4;
  constexpr std::int64_t kMembers = 10;
  constexpr std::int64_t kVersions = 6;
  MariadbHarness harness(2);
  harness.MustOpen();
  Other other(harness);
  std::atomic<std::int64_t> writing{kWriters};
  std::vector<std::jthread> writers;
  for (std::int64_t writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      MemberStore& store = writer % 2 == 0 ? *harness.store : *other.store;
      for (std::int64_t version = 1; version <= kVersions; ++version) {
        for (std::int64_t id = 0; id < kMembers; ++id) {
          EXPECT_TRUE(Write(store, 1 + writer * kMembers + id, version));
        }
      }
      writing.fetch_sub(1);
    });
  }
  // Whoever reads meanwhile has read the truth.
  std::vector<ChangeEvent> followed;
  ASSERT_TRUE(WaitUntil([&] {
    const auto page = other.store->change_feed().Read(followed.empty() ? 0 : followed.back().position, 7);
    EXPECT_TRUE(page);
    followed.insert(followed.end(), page->events.begin(), page->events.end());
    return followed.size() == kWriters * kMembers * kVersions;
  })) << followed.size();
  writers.clear();
  EXPECT_EQ(ReadAll(*harness.store), followed);
  EXPECT_EQ(CheckOrder(followed).size(), kWriters * kMembers);
  other.store->Close();
  harness.store->Close();
}

TEST(MariadbRelay, WhoFollowsIsWokenByWhatOthersCommit) {
  MariadbHarness harness(2);
  harness.MustOpen();
  ASSERT_TRUE(Write(*harness.store, 1, 1));
  ASSERT_TRUE(harness.WaitForStream());
  Other other(harness);
  std::atomic<int> wakes{0};
  const auto subscription = other.store->change_feed().Subscribe([&] { wakes.fetch_add(1); });
  ASSERT_TRUE(WaitUntil([&] { return wakes.load() > 0; })) << "what was there before";
  ASSERT_TRUE(Write(*harness.store, 2, 1));
  ASSERT_TRUE(WaitUntil([&] { return ReadAll(*other.store).size() == 2; }));
  EXPECT_TRUE(WaitUntil([&] { return wakes.load() > 1; }));
  // The other one takes over at once from who ends in order, and goes on behind it.
  harness.store->Close();
  ASSERT_TRUE(Write(*other.store, 3, 1));
  ASSERT_TRUE(WaitUntil([&] { return ReadAll(*other.store).size() == 3; }));
  CheckOrder(ReadAll(*other.store));
  other.store->Close();
}

// What is committed late is told late, and keeps nothing else up: neither its reading nor its deletion.
TEST(MariadbRelay, AnOpenTransactionHoldsNobodyUp) {
  MariadbHarness harness(1);
  harness.MustOpen();
  const auto open = harness.server.Connect(harness.Database(0));
  ASSERT_TRUE(open->Execute("START TRANSACTION"));
  ASSERT_TRUE(open->Execute("INSERT INTO `change`(shard, member_id, version, type, time) VALUES(0, 1000, 1, 1, 1)"));
  for (std::int64_t id = 1; id <= 20; ++id) ASSERT_TRUE(Write(*harness.store, id, 1));
  ASSERT_TRUE(WaitUntil([&] { return ReadAll(*harness.store).size() == 20; }));
  ASSERT_TRUE(harness.WaitForStream());
  const std::vector<ChangeEvent> before = ReadAll(*harness.store);
  ASSERT_TRUE(open->Execute("COMMIT"));
  ASSERT_TRUE(WaitUntil([&] { return ReadAll(*harness.store).size() == 21; }));
  const std::vector<ChangeEvent> after = ReadAll(*harness.store);
  EXPECT_TRUE(std::ranges::equal(before, std::span(after).first(20))) << "nothing is added before";
  EXPECT_EQ(after.back().member_id, MemberId(1000));
  harness.store->Close();
}

TEST(MariadbRelay, ALostTermIsNoticedAndTakenAgain) {
  MariadbHarness harness(2);
  harness.MustOpen();
  // For a moment; and for an hour, which is what a clock that was set back makes of the lease of one that is gone.
  const char* const leases[] = {"1500000", "3600000000"};
  std::int64_t version = 0;
  for (const char* const lease : leases) {
    ASSERT_TRUE(Write(*harness.store, 1, ++version));
    ASSERT_TRUE(harness.WaitForStream());
    harness.server.Execute(std::string("UPDATE relay SET term = term + 1, holder = 'another', "
                                       "until_time = UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 + ") +
                               lease,
                           harness.Database(0));
    ASSERT_TRUE(Write(*harness.store, 1, ++version));
    ASSERT_TRUE(WaitUntil([&] { return ReadAll(*harness.store).size() == static_cast<std::size_t>(version); }));
  }
  EXPECT_GE(harness.server.ReadInteger("SELECT term FROM relay", harness.Database(0)), 5);
  CheckOrder(ReadAll(*harness.store));
  harness.store->Close();
}

// A process that stands still within an append has the relay's row locked.
TEST(MariadbRelay, ASessionThatStandsStillIsEndedByItsServer) {
  MariadbHarness harness(1);
  harness.MustOpen();
  const auto still =
      mariadb::Session::Open({.place = mariadb::GroupPlace::Fixed(*mariadb::Endpoint::Parse(harness.server.address())),
                              .account = {.user = "root", .password = {}},
                              .database = harness.Database(0),
                              .timeouts = {},
                              .idle_transaction = std::chrono::seconds(1)},
                             "muster.session.still");
  ASSERT_TRUE(still) << still.error().message;
  ASSERT_TRUE((*still)->connection->Query("SELECT term FROM relay FOR UPDATE"));
  ASSERT_TRUE(Write(*harness.store, 1, 1));
  EXPECT_TRUE(WaitUntil([&] { return ReadAll(*harness.store).size() == 1; }));
  EXPECT_FALSE((*still)->connection->Execute("COMMIT"));
  harness.store->Close();
}

TEST(MariadbRelay, AGroupThatStandsStillHoldsUpItsOwnChangesAlone) {
  MariadbServer second;
  MariadbHarness harness(2);
  harness.gives_back = false;
  second.Execute("CREATE DATABASE members");
  const auto named = harness.options.groups[1];
  harness.options.groups[1] = {.primary = second.address(), .replicas = {}, .database = "members"};
  harness.options.statement_timeout_ms = harness.options.connect_timeout_ms = harness.options.lock_wait_ms = 1'000;
  harness.options.transaction_timeout_ms = 1'000;
  harness.MustOpen();
  std::vector<std::int64_t> ids[2];
  for (std::int64_t id = 1; id <= 40; ++id) {
    ids[harness.store->shards().DatabaseOf(MemberId(id))].push_back(id);
    ASSERT_TRUE(Write(*harness.store, id, 1));
  }
  ASSERT_TRUE(WaitUntil([&] { return ReadAll(*harness.store).size() == 40; }));
  // What is in its outbox now waits for it, if there is anything.
  second.Stop();
  for (const std::int64_t id : ids[0]) ASSERT_TRUE(Write(*harness.store, id, 2));
  const std::size_t with_first = 40 + ids[0].size();
  ASSERT_TRUE(WaitUntil([&] { return ReadAll(*harness.store).size() == with_first; }));
  second.Continue();
  ASSERT_TRUE(WaitUntil([&] { return Write(*harness.store, ids[1][0], 2).has_value(); }));
  ASSERT_TRUE(WaitUntil([&] { return ReadAll(*harness.store).size() == with_first + 1; }));
  CheckOrder(ReadAll(*harness.store));
  harness.store->Close();
  harness.store.reset();
  harness.options.groups[1] = named;  // for the harness to remove
}

TEST(MariadbRelay, AServerThatIsKilledUnderItLosesNothingAndTellsNothingTwice) {
  MariadbServer server;
  MariadbHarness harness(2, server);
  harness.gives_back = false;
  harness.MustOpen();
  Other other(harness);
  std::atomic<bool> ends{false};
  std::vector<ChangeEvent> followed;
  const auto follow = [&] {
    const auto page = other.store->change_feed().Read(followed.empty() ? 0 : followed.back().position, 50);
    if (page) followed.insert(followed.end(), page->events.begin(), page->events.end());
  };
  std::vector<std::int64_t> acknowledged(9, 0);  // versions of each member
  {
    std::vector<std::jthread> writers;
    for (std::int64_t id = 1; id <= 8; ++id) {
      writers.emplace_back([&, id] {
        while (!ends.load()) {
          const std::int64_t version = acknowledged[static_cast<std::size_t>(id)] + 1;
          const Result<void> written = Write(id % 2 == 0 ? *harness.store : *other.store, id, version);
          if (written) {
            acknowledged[static_cast<std::size_t>(id)] = version;
          } else if (written.error().reason == Reason::kOutcomeUnknown) {
            return;  // its version may be there: this member has an end
          }
        }
      });
    }
    for (int round = 0; round < 2; ++round) {
      const std::size_t enough = followed.size() + 60;
      EXPECT_TRUE(WaitUntil([&] {
        follow();
        return followed.size() > enough;
      }));
      server.Kill();
      server.Start();
    }
    ends = true;
  }
  ASSERT_TRUE(WaitUntil([&] {
    return contract::RunAndWait(harness.store->shards(), 0, [](ShardTransaction&) { return Result<void>(); })
        .has_value();
  }));
  ASSERT_TRUE(harness.WaitForStream());
  const std::vector<ChangeEvent> all = ReadAll(*harness.store);
  const std::map<MemberId, std::int64_t> versions = CheckOrder(all);
  for (std::size_t id = 1; id < acknowledged.size(); ++id) {
    const auto found = versions.find(MemberId(static_cast<std::int64_t>(id)));
    const std::int64_t told = found == versions.end() ? 0 : found->second;
    EXPECT_TRUE(told == acknowledged[id] || told == acknowledged[id] + 1) << told << " of " << acknowledged[id];
  }
  ASSERT_GE(all.size(), followed.size());
  EXPECT_TRUE(std::ranges::equal(followed, std::span(all).first(followed.size()))) << "what was read has changed";
  other.store->Close();
  harness.store->Close();
}

class Forgetting : public ::testing::Test {
 protected:
  Forgetting() {
    harness_.MustOpen();
    for (std::int64_t id = 1; id <= 40; ++id) EXPECT_TRUE(Write(*harness_.store, id, 1));
    EXPECT_TRUE(harness_.WaitForStream());
    EXPECT_TRUE(WaitUntil(
        [this] { return harness_.server.ReadInteger("SELECT COUNT(*) FROM copied", harness_.Database(0)) == 0; }));
  }
  ~Forgetting() override { harness_.store->Close(); }

  std::uint64_t Forget(Timestamp before, std::int64_t keep_max = INT64_MAX) {
    std::uint64_t all = 0;
    for (const std::uint32_t group : {0U, 1U}) {
      for (std::uint64_t some = 1; some > 0; all += some) {
        std::promise<Result<std::uint64_t>> forgotten;
        harness_.store->change_keeper().ForgetChanges(
            group, before, keep_max, [&](Result<std::uint64_t> count) { forgotten.set_value(std::move(count)); });
        const Result<std::uint64_t> count = forgotten.get_future().get();
        EXPECT_TRUE(count) << count.error().message;
        some = count.value_or(0);
      }
    }
    return all;
  }
  ChangeFeed& feed() { return harness_.store->change_feed(); }
  static Timestamp WrittenAt() {
    return contract::ChangeOf(contract::PlainMember(MemberId(1)), ChangeType::kRegistered).time;
  }

  MariadbHarness harness_{2};
};

TEST_F(Forgetting, OldChangesExpireAndTheHistoryKeepsThem) {
  EXPECT_EQ(Forget(WrittenAt()), 0U) << "none is older";
  EXPECT_EQ(feed().ReadBounds()->before_earliest, 0);
  EXPECT_EQ(Forget(WrittenAt() + std::chrono::seconds(1)), 39U) << "the newest stays";
  for (const bool opened_again : {false, true}) {
    if (opened_again) harness_.MustOpen();
    EXPECT_EQ(feed().ReadBounds()->before_earliest, 39);
    EXPECT_EQ(feed().ReadBounds()->latest, 40);
    EXPECT_EQ(feed().Read(38, 10).error().reason, Reason::kPositionExpired);
    EXPECT_EQ(feed().Read(39, 10)->events.size(), 1U);
  }
  for (std::int64_t id = 1; id <= 40; ++id) {
    EXPECT_EQ(harness_.store->archive().ListHistory(MemberId(id), Version(INT64_MAX), 10)->size(), 1U);
  }
  ASSERT_TRUE(Write(*harness_.store, 41, 1));
  ASSERT_TRUE(harness_.WaitForStream());
  EXPECT_EQ(ReadAll(*harness_.store, 40).back().position, 41) << "positions go on";
}

TEST_F(Forgetting, NoMoreAreKeptThanThereMayBe) {
  EXPECT_EQ(Forget(Timestamp(), 10), 30U);
  EXPECT_EQ(ReadAll(*harness_.store, 30).size(), 10U);
}

// A change that a clock set ahead has dated keeps what is behind it, for a while.
TEST_F(Forgetting, WhatIsForgottenIsABeginningOfTheStream) {
  harness_.server.Execute("UPDATE stream SET time = time + 3600000000 WHERE position = 20", harness_.Database(0));
  EXPECT_EQ(Forget(WrittenAt() + std::chrono::seconds(1)), 19U);
  EXPECT_EQ(feed().ReadBounds()->before_earliest, 19);
  EXPECT_EQ(ReadAll(*harness_.store, 19).size(), 21U);
}

TEST_F(Forgetting, TheSweeperForgets) {
  MetricRegistry metrics;
  Sweeper sweeper(harness_.store->shards(), harness_.store->shard_upkeep(), {.period_ms = 1, .pause_ms = 1},
                  NullLogger(), metrics, &harness_.store->change_keeper());
  sweeper.Start();
  EXPECT_TRUE(
      WaitUntil([&] { return metrics.Expose().contains("muster_store_sweeper_changes_forgotten_total 39\n"); }));
  sweeper.Stop();
}

}  // namespace
}  // namespace muster::mariadb_relay_test
