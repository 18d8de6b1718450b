#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <map>
#include <thread>
#include <vector>

#include "domain/ports/change_feed_contract.h"
#include "domain/ports/shard_store_contract.h"
#include "store/doctor.h"
#include "store/sqlite_database.h"
#include "store/sqlite_test_support.h"
#include "store/sweeper.h"

namespace muster {
namespace {

class SqliteChangeFeedTest : public ::testing::TestWithParam<int> {
 protected:
  SqliteChangeFeedTest() : harness_({.files = GetParam(), .durable = false}) { EXPECT_TRUE(harness_.Open()); }
  ~SqliteChangeFeedTest() override {
    if (harness_.store) harness_.store->Close();
  }

  ChangeFeed& feed() { return harness_.store->change_feed(); }
  ShardStore& shards() { return harness_.store->shards(); }
  Result<void> Write(std::int64_t id, std::int64_t version, bool fail = false) {
    Member member = contract::PlainMember(MemberId(id));
    member.version = Version(version);
    const ChangeType type = version == 1 ? ChangeType::kRegistered : ChangeType::kUpdated;
    return contract::RunAndWait(shards(), shards().DatabaseOf(member.id), [&](ShardTransaction& rows) -> Result<void> {
      MUSTER_TRY(rows.WriteMember(member, contract::ChangeOf(member, type)));
      if (fail) return Fail(Reason::kStateConflict, "rolled back");
      return {};
    });
  }
  std::vector<ChangeEvent> ReadAll(std::size_t page_size, std::int64_t after = 0) {
    return contract::ReadChanges(feed(), page_size, after);
  }

  testing::StoreHarness harness_;
};
INSTANTIATE_TEST_SUITE_P(Files, SqliteChangeFeedTest, ::testing::Values(1, 4));

TEST_P(SqliteChangeFeedTest, SaysNothingOfWhatWasRolledBack) {
  ASSERT_TRUE(Write(1, 1));
  ASSERT_FALSE(Write(2, 1, true));
  ASSERT_TRUE(Write(3, 1));
  EXPECT_EQ(ReadAll(10).size(), 2U);
}

TEST_P(SqliteChangeFeedTest, GoesOnAfterARestart) {
  for (std::int64_t id = 1; id <= 10; ++id) ASSERT_TRUE(Write(id, 1));
  const std::vector<ChangeEvent> before = ReadAll(1000);
  harness_.store->Close();
  harness_.store.reset();
  ASSERT_TRUE(harness_.Open());
  EXPECT_EQ(ReadAll(3), before);
  ASSERT_TRUE(Write(11, 1));
  const auto after = ReadAll(1000, before.back().position);
  ASSERT_EQ(after.size(), 1U);
  EXPECT_GT(after[0].position, before.back().position);
}

TEST_P(SqliteChangeFeedTest, MissesNothingWhileManyWrite) {
  constexpr std::int64_t kWriters = 4;
  constexpr std::int64_t kMembers = 20;
  constexpr std::int64_t kVersions = 10;
  std::promise<void> first;
  std::atomic<bool> kept{false};
  const auto subscription = feed().Subscribe([&] {
    if (!kept.exchange(true)) first.set_value();
  });
  std::atomic<std::int64_t> writing{kWriters};
  std::vector<std::thread> writers;
  for (std::int64_t writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      for (std::int64_t version = 1; version <= kVersions; ++version) {
        for (std::int64_t id = 0; id < kMembers; ++id) EXPECT_TRUE(Write(1 + writer * kMembers + id, version));
      }
      writing.fetch_sub(1);
    });
  }
  first.get_future().get();
  std::map<MemberId, std::int64_t> versions;
  std::int64_t after = 0;
  std::int64_t count = 0;
  for (bool more = true; more;) {
    more = writing.load() > 0;
    for (;;) {
      const Result<ChangeFeed::Page> page = feed().Read(after, 5);
      ASSERT_TRUE(page);
      for (const ChangeEvent& event : page->events) {
        EXPECT_GT(event.position, after);
        EXPECT_EQ(event.version.value(), ++versions[event.member_id]);
        after = event.position;
        ++count;
      }
      after = page->next;
      if (page->events.empty()) break;
    }
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(count, kWriters * kMembers * kVersions);
}

class ForgettingTest : public SqliteChangeFeedTest {
 protected:
  // Forgets in all files, until there is nothing more.
  std::uint64_t Forget(Timestamp before, std::int64_t keep_max = INT64_MAX) {
    std::uint64_t all = 0;
    for (std::uint32_t file = 0; file < static_cast<std::uint32_t>(GetParam()); ++file) {
      for (std::uint64_t some = 1; some > 0; all += some) {
        std::promise<Result<std::uint64_t>> forgotten;
        harness_.store->change_keeper().ForgetChanges(
            file, before, keep_max, [&](Result<std::uint64_t> count) { forgotten.set_value(std::move(count)); });
        const Result<std::uint64_t> count = forgotten.get_future().get();
        EXPECT_TRUE(count) << count.error().message;
        some = count.value_or(0);
      }
    }
    return all;
  }
  void ExpectExpired(std::int64_t after) {
    const auto expired = feed().Read(after, 10);
    ASSERT_FALSE(expired) << after;
    EXPECT_EQ(expired.error().reason, Reason::kPositionExpired);
  }
};
INSTANTIATE_TEST_SUITE_P(Files, ForgettingTest, ::testing::Values(1, 4));

TEST_P(ForgettingTest, OldChangesExpireAndTheHistoryKeepsThem) {
  for (std::int64_t id = 1; id <= 40; ++id) ASSERT_TRUE(Write(id, 1));
  const Timestamp later = contract::ChangeOf(contract::PlainMember(MemberId(1)), ChangeType::kRegistered).time;
  EXPECT_EQ(Forget(later), 0U) << "none is older";
  EXPECT_EQ(feed().ReadBounds()->before_earliest, 0);

  const std::uint64_t forgotten = Forget(later + std::chrono::seconds(1));
  EXPECT_EQ(forgotten, 40U - static_cast<std::uint64_t>(GetParam())) << "each file keeps its newest";
  const ChangeFeed::Bounds bounds = *feed().ReadBounds();
  EXPECT_EQ(bounds.latest, 40);
  EXPECT_GT(bounds.before_earliest, 0);
  EXPECT_LT(bounds.before_earliest, 40);
  ExpectExpired(0);
  ExpectExpired(bounds.before_earliest - 1);
  EXPECT_EQ(ReadAll(7, bounds.before_earliest).back().position, 40);
  for (std::int64_t id = 1; id <= 40; ++id) {
    EXPECT_EQ(harness_.store->archive().ListHistory(MemberId(id), Version(INT64_MAX), 10)->size(), 1U);
  }

  harness_.store->Close();
  harness_.store.reset();
  const auto examination = ExamineStore(harness_.directory.path(), harness_.keyring, nullptr);
  ASSERT_TRUE(examination) << examination.error().message;
  EXPECT_EQ(examination->findings_total, 0U) << examination->findings[0].code;
  ASSERT_TRUE(harness_.Open());
  EXPECT_EQ(feed().ReadBounds()->before_earliest, bounds.before_earliest);
  EXPECT_EQ(feed().ReadBounds()->latest, 40);
  ExpectExpired(0);
  ASSERT_TRUE(Write(41, 1));
  EXPECT_EQ(ReadAll(7, 40).back().position, 41) << "positions go on";
  EXPECT_EQ(harness_.store->CountMembers(), 41);
}

TEST_P(ForgettingTest, TheSweeperForgets) {
  for (std::int64_t id = 1; id <= 40; ++id) ASSERT_TRUE(Write(id, 1));
  MetricRegistry metrics;
  Sweeper sweeper(shards(), harness_.store->shard_upkeep(), {.period_ms = 1, .pause_ms = 1}, NullLogger(), metrics,
                  &harness_.store->change_keeper());
  sweeper.Start();
  const std::string wanted = "muster_store_sweeper_changes_forgotten_total " + std::to_string(40 - GetParam()) + "\n";
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!metrics.Expose().contains(wanted)) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::yield();
  }
}

TEST_P(ForgettingTest, NoMoreAreKeptThanThereMayBe) {
  for (std::int64_t id = 1; id <= 40; ++id) ASSERT_TRUE(Write(id, 1));
  EXPECT_GT(Forget(Timestamp(), 10), 0U);
  EXPECT_LE(feed().ReadBounds()->before_earliest, 30);
  const std::vector<ChangeEvent> rest = ReadAll(100, 30);
  EXPECT_EQ(rest.size(), 10U);
}

// A change that a clock set ahead has dated keeps what is behind it, for a while.
TEST_P(ForgettingTest, WhatIsForgottenIsABeginningOfTheStream) {
  for (std::int64_t id = 1; id <= 40; ++id) ASSERT_TRUE(Write(id, 1));
  harness_.store->Close();
  harness_.store.reset();
  const Timestamp base = contract::ChangeOf(contract::PlainMember(MemberId(1)), ChangeType::kRegistered).time;
  const std::string ahead = std::to_string((base + std::chrono::hours(1)).time_since_epoch().count());
  for (int file = 0; file < GetParam(); ++file) {
    Result<Database> database =
        Database::Open(harness_.directory.path() + "/muster-" + std::to_string(file) + ".db", Database::Mode::kWrite);
    ASSERT_TRUE(database->Execute("UPDATE change SET time = " + ahead +
                                  " WHERE position = (SELECT min(position) FROM change WHERE position >= 20)"));
  }
  ASSERT_TRUE(harness_.Open());
  Forget(base + std::chrono::seconds(1));
  const std::int64_t before = feed().ReadBounds()->before_earliest;
  EXPECT_LT(before, 20);
  EXPECT_EQ(ReadAll(7, before).size(), static_cast<std::size_t>(40 - before));
}

// Files whose changes were numbered one by one, as schema 2 did.
TEST_P(SqliteChangeFeedTest, ChangesFromBeforePositionsWereSharedAreNotOfTheStream) {
  for (std::int64_t id = 1; id <= 8; ++id) ASSERT_TRUE(Write(id, 1));
  const std::int64_t last = ReadAll(1000).back().position;
  harness_.store->Close();
  harness_.store.reset();
  for (int file = 0; file < GetParam(); ++file) {
    Result<Database> database =
        Database::Open(harness_.directory.path() + "/muster-" + std::to_string(file) + ".db", Database::Mode::kWrite);
    ASSERT_TRUE(database);
    ASSERT_TRUE(
        database->Execute("UPDATE meta SET value = (SELECT coalesce(max(position), 0) FROM change) "
                          "WHERE name = 'feed_start'"));
  }
  ASSERT_TRUE(harness_.Open());
  if (GetParam() == 1) {
    EXPECT_EQ(ReadAll(1000).size(), 8U) << "one file numbers as it always did";
    return;
  }
  EXPECT_EQ(feed().ReadBounds()->before_earliest, last);
  const auto expired = feed().Read(last - 1, 10);
  ASSERT_FALSE(expired);
  EXPECT_EQ(expired.error().reason, Reason::kPositionExpired);
  ASSERT_TRUE(Write(9, 1));
  const auto rest = ReadAll(1000, last);
  ASSERT_EQ(rest.size(), 1U);
  EXPECT_EQ(rest[0].member_id, MemberId(9));
}

}  // namespace
}  // namespace muster
