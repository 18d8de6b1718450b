#include "store/memory_shard_store.h"

#include <gtest/gtest.h>

#include "domain/ports/shard_store_contract.h"
#include "domain/ports/shard_store_merges_contract.h"
#include "domain/ports/shard_upkeep_contract.h"

namespace muster {
namespace {

template <std::uint32_t kDatabases, MemoryShardStore::Runs kRuns>
class MemoryFactory {
 public:
  ShardStore& shards() { return store_; }
  ShardUpkeep& upkeep() { return store_; }
  ManualClock& clock() { return clock_; }
  std::uint32_t database_count() const { return kDatabases; }
  std::vector<Change> History(MemberId id) const { return store_.History(id); }
  std::vector<Change> Stream(std::uint32_t database) const { return store_.Stream(database); }

 private:
  ManualClock clock_;
  MemoryShardStore store_{std::vector<const Clock*>(kDatabases, &clock_), kRuns};
};

using Factories =
    ::testing::Types<MemoryFactory<1, MemoryShardStore::Runs::kOnce>, MemoryFactory<4, MemoryShardStore::Runs::kOnce>,
                     MemoryFactory<4, MemoryShardStore::Runs::kTwice>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, ShardStoreContract, Factories);
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, ShardStoreMergesContract, Factories);
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, ShardUpkeepContract, Factories);

TEST(MemoryShardStoreTest, TwiceRunsEveryTransactionTwiceAndKeepsTheSecond) {
  ManualClock clock;
  MemoryShardStore store({&clock}, MemoryShardStore::Runs::kTwice);
  const Member member = contract::PlainMember(MemberId(1));
  int runs = 0;
  ASSERT_TRUE(contract::RunAndWait(store, 0, [&](ShardTransaction& transaction) -> Result<void> {
    ++runs;
    MUSTER_ASSIGN(const auto found, transaction.ReadMember(member.id));
    EXPECT_EQ(found, std::nullopt) << "the first run left something behind";
    return transaction.WriteMember(member, contract::ChangeOf(member));
  }));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(store.Stream(0).size(), 1U);
  EXPECT_EQ(store.Members(0), std::vector<Member>{member});
}

TEST(MemoryShardStoreTest, EachDatabaseHasAClockOfItsOwn) {
  ManualClock first;
  ManualClock second;
  MemoryShardStore store({&first, &second});
  second.Advance(std::chrono::seconds(3));
  EXPECT_EQ(store.Now(1) - store.Now(0), std::chrono::seconds(3));
}

TEST(MemoryShardStoreDeathTest, ARowOfAnotherDatabaseIsABrokenInvariant) {
  ManualClock clock;
  MemoryShardStore store({&clock, &clock});
  const IdentityKey stranger = contract::KeyIn(store, 1, 0);
  EXPECT_DEATH((void)contract::RunAndWait(store, 0,
                                          [&](ShardTransaction& transaction) -> Result<void> {
                                            MUSTER_TRY(transaction.ReadLookup(stranger));
                                            return {};
                                          }),
               "DatabaseOf");
}

}  // namespace
}  // namespace muster
