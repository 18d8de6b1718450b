#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "domain/ports/shard_store_contract.h"

namespace muster {

// What merges need of a ShardStore, as tests, run on every engine beside ShardStoreContract.
template <ShardStoreFactory Factory>
class ShardStoreMergesContract : public ShardStoreContract<Factory> {};
TYPED_TEST_SUITE_P(ShardStoreMergesContract);

TYPED_TEST_P(ShardStoreMergesContract, AMarkMakesNoVersionAndIsFoundByAScan) {
  std::vector<MemberId> ids;
  for (std::uint32_t index = 0; index < 3; ++index) ids.push_back(contract::MemberIn(this->shards(), 0, index));
  std::ranges::sort(ids);
  for (const MemberId id : ids) {
    Member member = contract::PlainMember(id);
    ASSERT_TRUE(this->Run(0, [&](ShardTransaction& transaction) -> Result<void> {
      MUSTER_TRY(transaction.WriteMember(member, contract::ChangeOf(member, ChangeType::kRegistered)));
      member.move = contract::FullMark();
      return transaction.MarkMember(member);
    }));
    EXPECT_EQ(this->MemberNow(id), member);
    EXPECT_EQ(this->factory_.History(id).size(), 1U);
  }
  EXPECT_EQ(this->upkeep().ScanMarked(0, MemberId(0), 2), (std::vector{ids[0], ids[1]}));
  EXPECT_EQ(this->upkeep().ScanMarked(0, ids[1], 2), std::vector{ids[2]});
  // By MarkMember, or by the change that ends the move.
  ASSERT_TRUE(this->Run(0, [&](ShardTransaction& transaction) -> Result<void> {
    MUSTER_TRY(transaction.MarkMember(contract::PlainMember(ids[0])));
    const Member merged = contract::PlainMember(ids[1], Version(2));
    return transaction.WriteMember(merged, contract::ChangeOf(merged, ChangeType::kMerged));
  }));
  EXPECT_EQ(this->upkeep().ScanMarked(0, MemberId(0), 9), std::vector{ids[2]});
  EXPECT_FALSE(this->MemberNow(ids[0])->move);
}

TYPED_TEST_P(ShardStoreMergesContract, AMergeRecordIsKeptUntilItIsTakenBack) {
  const MemberId target = contract::MemberIn(this->shards(), 0, 0);
  const auto write = [&](MemberId source, const std::optional<MergeRecord>& record) {
    ASSERT_TRUE(
        this->Run(0, [&](ShardTransaction& rows) { return rows.records().WriteMerge(target, source, record); }));
  };
  const auto now = [&](MemberId source) {
    std::optional<MergeRecord> record;
    EXPECT_TRUE(this->Run(0, [&](ShardTransaction& rows) -> Result<void> {
      MUSTER_ASSIGN(record, rows.records().ReadMerge(target, source));
      return {};
    }));
    return record;
  };
  const MergeRecord record{.brought = {{contract::KeyIn(this->shards(), 0, 1), OperationId(5)},
                                       {contract::KeyIn(this->shards(), 0, 2), OperationId(6)}}};
  EXPECT_EQ(now(MemberId(7)), std::nullopt);
  write(MemberId(7), record);
  write(MemberId(8), MergeRecord{});
  EXPECT_EQ(now(MemberId(7)), record);
  EXPECT_EQ(now(MemberId(8)), MergeRecord{});
  write(MemberId(7), std::nullopt);
  EXPECT_EQ(now(MemberId(7)), std::nullopt);
}

REGISTER_TYPED_TEST_SUITE_P(ShardStoreMergesContract, AMarkMakesNoVersionAndIsFoundByAScan,
                            AMergeRecordIsKeptUntilItIsTakenBack);

}  // namespace muster
