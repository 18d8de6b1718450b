#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include "domain/ports/shard_store_contract.h"

namespace muster {

// The contract of ShardUpkeep as tests, run on every engine beside ShardStoreContract.
template <ShardStoreFactory Factory>
class ShardUpkeepContract : public ShardStoreContract<Factory> {
 protected:
  Result<void> Keep(const KeptAnswer& answer, const RequestHash& key) {
    return this->Run(this->shards().DatabaseOf(answer.member.id),
                     [&](ShardTransaction& transaction) { return transaction.records().WriteAnswer(key, answer); });
  }
  bool IsKept(std::uint32_t database, const RequestHash& key) {
    bool kept = false;
    EXPECT_TRUE(this->Run(database, [&](ShardTransaction& transaction) -> Result<void> {
      MUSTER_ASSIGN(const auto answer, transaction.records().ReadAnswer(key, AnswerUse::kLook));
      kept = answer.has_value();
      return {};
    }));
    return kept;
  }
};

TYPED_TEST_SUITE_P(ShardUpkeepContract);

TYPED_TEST_P(ShardUpkeepContract, ScanWalksAllLookupsOnceInKeyOrder) {
  const std::uint32_t database = this->last_database();
  std::vector<IdentityKey> keys;
  ASSERT_TRUE(this->Run(database, [&](ShardTransaction& transaction) -> Result<void> {
    keys.clear();
    for (std::uint32_t index = 0; index < 25; ++index) {
      keys.push_back(contract::KeyIn(this->shards(), database, index));
      MUSTER_TRY(transaction.WriteLookup(keys.back(), LookupRow{MemberId(index + 1), OperationId(index + 1)}));
    }
    return transaction.WriteLookup(keys.back(), std::nullopt);
  }));
  keys.pop_back();
  std::ranges::sort(keys);

  std::vector<IdentityKey> walked;
  IdentityKey after{};
  for (;;) {
    const auto page = this->upkeep().ScanLookups(database, after, 10);
    ASSERT_TRUE(page);
    ASSERT_LE(page->size(), 10U);
    for (const auto& entry : *page) {
      walked.push_back(entry.key);
      EXPECT_EQ(this->LookupNow(entry.key), entry.row);
    }
    if (page->size() < 10) break;
    after = page->back().key;
  }
  EXPECT_EQ(walked, keys);

  for (std::uint32_t other = 0; other < database; ++other) {
    const auto page = this->upkeep().ScanLookups(other, {}, 10);
    ASSERT_TRUE(page);
    EXPECT_TRUE(page->empty()) << "a lookup row appears in a database that it does not live in";
  }
}

TYPED_TEST_P(ShardUpkeepContract, OnlyOutcomesRecordedBeforeAreForgotten) {
  const std::uint32_t database = this->last_database();
  const auto record = [&](std::int64_t id) {
    return this->Run(database, [&](ShardTransaction& transaction) {
      return transaction.records().WriteOperation(OperationId(id), OperationOutcome::kAborted);
    });
  };
  ASSERT_TRUE(record(1));
  ASSERT_TRUE(record(2));
  this->factory_.clock().Advance(std::chrono::minutes(10));
  const Timestamp bound = this->shards().Now(database);
  ASSERT_TRUE(record(3));

  EXPECT_EQ(contract::ForgetAndWait(this->upkeep(), database, bound - std::chrono::minutes(10)), 0U)
      << "recorded at the bound is not before it";
  EXPECT_EQ(contract::ForgetAndWait(this->upkeep(), database, bound), 2U);
  EXPECT_EQ(this->OutcomeNow(database, OperationId(1)), std::nullopt);
  EXPECT_EQ(this->OutcomeNow(database, OperationId(2)), std::nullopt);
  EXPECT_EQ(this->OutcomeNow(database, OperationId(3)), OperationOutcome::kAborted);
  EXPECT_EQ(contract::ForgetAndWait(this->upkeep(), database, bound), 0U);
}

TYPED_TEST_P(ShardUpkeepContract, OnlyAnswersKeptBeforeAreForgotten) {
  const std::uint32_t database = this->last_database();
  const KeptAnswer answer{.fingerprint = RequestHash{{9}},
                          .member = contract::PlainMember(contract::MemberIn(this->shards(), database, 0))};
  ASSERT_TRUE(this->Keep(answer, RequestHash{{1}}));
  ASSERT_TRUE(this->Keep(answer, RequestHash{{2}}));
  this->factory_.clock().Advance(std::chrono::minutes(10));
  const Timestamp bound = this->shards().Now(database);
  ASSERT_TRUE(this->Keep(answer, RequestHash{{3}}));

  EXPECT_EQ(contract::ForgetAnswersAndWait(this->upkeep(), database, bound - std::chrono::minutes(10)), 0U)
      << "kept at the bound is not before it";
  EXPECT_EQ(contract::ForgetAnswersAndWait(this->upkeep(), database, bound), 2U);
  EXPECT_FALSE(this->IsKept(database, RequestHash{{1}}));
  EXPECT_FALSE(this->IsKept(database, RequestHash{{2}}));
  EXPECT_TRUE(this->IsKept(database, RequestHash{{3}}));
}

REGISTER_TYPED_TEST_SUITE_P(ShardUpkeepContract, ScanWalksAllLookupsOnceInKeyOrder,
                            OnlyOutcomesRecordedBeforeAreForgotten, OnlyAnswersKeptBeforeAreForgotten);

}  // namespace muster
