#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <thread>
#include <vector>

#include "domain/ports/shard_store_contract.h"
#include "store/sqlite_database.h"
#include "store/sqlite_test_support.h"

namespace muster {
namespace {

using ::testing::ElementsAre;

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
    std::vector<ChangeEvent> all;
    for (;;) {
      const Result<ChangeFeed::Page> page = feed().Read(after, page_size);
      EXPECT_TRUE(page) << page.error().message;
      if (!page || page->events.empty()) return all;
      EXPECT_LE(page->events.size(), page_size);
      EXPECT_GE(page->next, page->events.back().position);
      all.insert(all.end(), page->events.begin(), page->events.end());
      after = page->next;
    }
  }

  testing::StoreHarness harness_;
};
INSTANTIATE_TEST_SUITE_P(Files, SqliteChangeFeedTest, ::testing::Values(1, 4));

TEST_P(SqliteChangeFeedTest, TellsEveryCommittedChangeOnceAndInOrder) {
  EXPECT_EQ(feed().ReadBounds()->latest, 0);
  for (std::int64_t id = 1; id <= 20; ++id) ASSERT_TRUE(Write(id, 1));
  ASSERT_FALSE(Write(21, 1, true));
  for (std::int64_t id = 20; id >= 1; --id) ASSERT_TRUE(Write(id, 2));
  for (const std::size_t page_size : {1UL, 7UL, 1000UL}) {
    const std::vector<ChangeEvent> all = ReadAll(page_size);
    ASSERT_EQ(all.size(), 40U);
    for (std::size_t i = 0; i < 40; ++i) {
      EXPECT_EQ(all[i].member_id,
                MemberId(i < 20 ? static_cast<std::int64_t>(i) + 1 : 40 - static_cast<std::int64_t>(i)));
      EXPECT_EQ(all[i].version, Version(i < 20 ? 1 : 2));
      EXPECT_EQ(all[i].type, i < 20 ? ChangeType::kRegistered : ChangeType::kUpdated);
      if (i > 0) EXPECT_GT(all[i].position, all[i - 1].position);
    }
  }
  EXPECT_EQ(feed().ReadBounds()->latest, ReadAll(1000).back().position);
}

TEST_P(SqliteChangeFeedTest, GoesOnFromAnyPositionAndAfterARestart) {
  for (std::int64_t id = 1; id <= 10; ++id) ASSERT_TRUE(Write(id, 1));
  const std::vector<ChangeEvent> before = ReadAll(1000);
  harness_.store->Close();
  harness_.store.reset();
  ASSERT_TRUE(harness_.Open());
  EXPECT_EQ(ReadAll(3), before);
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto rest = ReadAll(1000, before[i].position);
    EXPECT_EQ(rest, std::vector<ChangeEvent>(before.begin() + static_cast<std::ptrdiff_t>(i) + 1, before.end()));
  }
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
