// The contract of ShardStore on SQLite, with one file and with four.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/check.h"
#include "domain/ports/shard_store_contract.h"
#include "domain/ports/shard_store_merges_contract.h"
#include "domain/ports/shard_upkeep_contract.h"
#include "store/data_directory.h"
#include "store/sqlite_database.h"
#include "store/sqlite_store.h"
#include "store/sqlite_test_support.h"

namespace muster::sqlite_shard_store_test {
namespace {

template <int kFiles>
class SqliteFactory {
 public:
  SqliteFactory() : harness_({.files = kFiles}, &clock_) {
    const Result<void> opened = harness_.Open();
    EXPECT_TRUE(opened) << opened.error().message;
    MUSTER_CHECK(opened.has_value());
  }

  ShardStore& shards() { return harness_.store->shards(); }
  ShardUpkeep& upkeep() { return harness_.store->shard_upkeep(); }
  ManualClock& clock() { return clock_; }
  std::uint32_t database_count() { return kFiles; }

  std::vector<Change> History(MemberId id) {
    auto changes = harness_.store->archive().ListHistory(id, Version(INT64_MAX), 1000);
    EXPECT_TRUE(changes);
    std::ranges::reverse(*changes);
    return *changes;
  }

  std::vector<Change> Stream(std::uint32_t database) {
    auto file = Database::Open(DataFilePath(harness_.directory.path(), database), Database::Mode::kRead);
    auto select = file->Prepare("SELECT member_id, version, type, time FROM change ORDER BY position");
    std::vector<Change> changes;
    while (*select->Step()) {
      // A change row says which row of the history it is; the rest is there.
      const Version version(select->Integer(1));
      const auto history =
          harness_.store->archive().ListHistory(MemberId(select->Integer(0)), Version(version.value() + 1), 1);
      EXPECT_TRUE(history && history->size() == 1);
      const Change& change = changes.emplace_back(history->front());
      EXPECT_EQ(change.version, version);
      EXPECT_EQ(static_cast<std::int64_t>(change.type), select->Integer(2));
      EXPECT_EQ(change.time.time_since_epoch().count(), select->Integer(3));
    }
    return changes;
  }

 private:
  ManualClock clock_;
  testing::StoreHarness harness_;
};

// A key of `owner`'s.
RequestHash KeyOf(std::uint8_t owner, std::uint8_t number) { return {{0, 0, 0, owner, number}}; }

// In one transaction that ends with `end`.
Result<void> KeepAnswers(SqliteStore& store, std::uint8_t owner, std::uint8_t first, int count, Result<void> end = {}) {
  const KeptAnswer answer{.fingerprint = RequestHash{{9}}, .member = contract::PlainMember(MemberId(7))};
  return contract::RunAndWait(store.shards(), 0, [&](ShardTransaction& transaction) -> Result<void> {
    for (int i = 0; i < count; ++i) {
      MUSTER_TRY(transaction.records().WriteAnswer(KeyOf(owner, static_cast<std::uint8_t>(first + i)), answer));
    }
    return end;
  });
}

TEST(SqliteAnswersTest, WhoKeepsManyLeavesRoomForOthers) {
  ManualClock clock;
  testing::StoreHarness harness({.answers = {.answers_max = 8}}, &clock);
  ASSERT_TRUE(harness.Open());
  // What is rolled back is not kept, whether the store refuses or the transaction.
  EXPECT_EQ(KeepAnswers(*harness.store, 1, 0, 5).error().reason, Reason::kRateLimited);
  EXPECT_FALSE(KeepAnswers(*harness.store, 1, 0, 4, Fail(Reason::kStateConflict, "no")));
  clock.Advance(std::chrono::minutes(1));
  EXPECT_TRUE(KeepAnswers(*harness.store, 1, 0, 4));
  EXPECT_TRUE(KeepAnswers(*harness.store, 2, 0, 2));
  EXPECT_TRUE(KeepAnswers(*harness.store, 3, 0, 1));
  EXPECT_THAT(harness.metrics->Expose(), ::testing::HasSubstr("muster_store_answers_kept{file=\"muster-0.db\"} 7"));

  ASSERT_TRUE(harness.Open());
  EXPECT_EQ(KeepAnswers(*harness.store, 1, 4, 1).error().reason, Reason::kRateLimited);
  EXPECT_TRUE(KeepAnswers(*harness.store, 4, 0, 1));
  EXPECT_EQ(KeepAnswers(*harness.store, 5, 0, 1).error().reason, Reason::kOverloaded);

  // Who looks in order to keep one is told before it has written anything.
  const auto look = [&](std::uint8_t owner, std::uint8_t number, AnswerUse use) {
    Result<std::optional<KeptAnswer>> found = std::optional<KeptAnswer>();
    EXPECT_TRUE(contract::RunAndWait(harness.store->shards(), 0, [&](ShardTransaction& transaction) -> Result<void> {
      found = transaction.records().ReadAnswer(KeyOf(owner, number), use);
      return {};
    }));
    return found;
  };
  EXPECT_EQ(look(1, 9, AnswerUse::kKeep).error().reason, Reason::kOverloaded);
  EXPECT_FALSE(*look(1, 9, AnswerUse::kLook));
  EXPECT_TRUE(*look(1, 0, AnswerUse::kKeep)) << "what is kept is answered, however many there are";

  clock.Advance(std::chrono::minutes(1));
  EXPECT_EQ(contract::ForgetAnswersAndWait(harness.store->shard_upkeep(), 0, clock.Now()), 8U);
  EXPECT_TRUE(KeepAnswers(*harness.store, 1, 4, 4));
}

INSTANTIATE_TYPED_TEST_SUITE_P(SqliteOneFile, ShardStoreContract, SqliteFactory<1>);
INSTANTIATE_TYPED_TEST_SUITE_P(SqliteFourFiles, ShardStoreContract, SqliteFactory<4>);
INSTANTIATE_TYPED_TEST_SUITE_P(SqliteOneFile, ShardStoreMergesContract, SqliteFactory<1>);
INSTANTIATE_TYPED_TEST_SUITE_P(SqliteFourFiles, ShardStoreMergesContract, SqliteFactory<4>);
INSTANTIATE_TYPED_TEST_SUITE_P(SqliteOneFile, ShardUpkeepContract, SqliteFactory<1>);
INSTANTIATE_TYPED_TEST_SUITE_P(SqliteFourFiles, ShardUpkeepContract, SqliteFactory<4>);

}  // namespace
}  // namespace muster::sqlite_shard_store_test
