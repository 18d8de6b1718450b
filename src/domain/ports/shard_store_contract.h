#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <concepts>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "domain/ports/shard_store.h"
#include "domain/ports/shard_store_testing.h"
#include "domain/ports/shard_upkeep.h"

namespace muster {

// The contract of ShardStore as tests, run on every engine:
//
//   struct MyStore { … };                       // opens an empty store; one for each test
//   INSTANTIATE_TYPED_TEST_SUITE_P(MyEngine, ShardStoreContract, MyStore);
//
// `Factory` gives the store, its upkeep, the clock that all of its databases go by, and the two things that the port
// only writes.
template <typename Factory>
concept ShardStoreFactory = std::default_initializable<Factory> && requires(Factory factory, MemberId id) {
  { factory.shards() } -> std::same_as<ShardStore&>;
  { factory.upkeep() } -> std::same_as<ShardUpkeep&>;
  { factory.clock() } -> std::same_as<ManualClock&>;
  { factory.database_count() } -> std::convertible_to<std::uint32_t>;
  // The member's history, oldest first.
  { factory.History(id) } -> std::same_as<std::vector<Change>>;
  // One database's change stream in the order of its commits.
  { factory.Stream(std::uint32_t{}) } -> std::same_as<std::vector<Change>>;
};

template <ShardStoreFactory Factory>
class ShardStoreContract : public ::testing::Test {
 protected:
  ShardStore& shards() { return factory_.shards(); }
  ShardUpkeep& upkeep() { return factory_.upkeep(); }
  Result<void> Run(std::uint32_t database, ShardStore::Transaction transaction) {
    return contract::RunAndWait(shards(), database, std::move(transaction));
  }

  std::optional<Member> MemberNow(MemberId id) {
    std::optional<Member> member;
    EXPECT_TRUE(Run(shards().DatabaseOf(id), [&](ShardTransaction& transaction) -> Result<void> {
      MUSTER_ASSIGN(member, transaction.ReadMember(id));
      return {};
    }));
    return member;
  }
  std::optional<LookupRow> LookupNow(const IdentityKey& key) {
    std::optional<LookupRow> row;
    EXPECT_TRUE(Run(shards().DatabaseOf(key), [&](ShardTransaction& transaction) -> Result<void> {
      MUSTER_ASSIGN(row, transaction.ReadLookup(key));
      return {};
    }));
    return row;
  }
  std::optional<OperationOutcome> OutcomeNow(std::uint32_t database, OperationId id) {
    std::optional<OperationOutcome> outcome;
    EXPECT_TRUE(Run(database, [&](ShardTransaction& transaction) -> Result<void> {
      MUSTER_ASSIGN(outcome, transaction.records().ReadOperation(id));
      return {};
    }));
    return outcome;
  }
  std::uint32_t last_database() { return factory_.database_count() - 1; }

  Factory factory_;
};

TYPED_TEST_SUITE_P(ShardStoreContract);

TYPED_TEST_P(ShardStoreContract, EveryShardHasOneDatabaseForEver) {
  std::set<std::uint32_t> used;
  for (std::uint16_t shard = 0; shard < kShardCount; ++shard) {
    const std::uint32_t database = this->shards().DatabaseOf(ShardId(shard));
    ASSERT_LT(database, this->factory_.database_count());
    ASSERT_EQ(database, this->shards().DatabaseOf(ShardId(shard)));
    used.insert(database);
  }
  EXPECT_EQ(used.size(), this->factory_.database_count()) << "a database without a shard";
}

TYPED_TEST_P(ShardStoreContract, MembersAndKeysLiveInTheDatabaseOfTheirShard) {
  for (std::int64_t number = 1; number < 500; ++number) {
    const MemberId id(number);
    EXPECT_EQ(this->shards().DatabaseOf(id), this->shards().DatabaseOf(ShardOf(id)));
  }
  const IdentityKey key = contract::KeyIn(this->shards(), this->last_database(), 3);
  EXPECT_EQ(this->shards().DatabaseOf(key), this->shards().DatabaseOf(ShardOf(key)));
}

TYPED_TEST_P(ShardStoreContract, AnEmptyStoreHoldsNothing) {
  for (std::uint32_t database = 0; database < this->factory_.database_count(); ++database) {
    EXPECT_EQ(this->MemberNow(contract::MemberIn(this->shards(), database, 0)), std::nullopt);
    EXPECT_EQ(this->LookupNow(contract::KeyIn(this->shards(), database, 0)), std::nullopt);
    EXPECT_EQ(this->OutcomeNow(database, OperationId(1)), std::nullopt);
    EXPECT_TRUE(this->factory_.Stream(database).empty());
  }
}

TYPED_TEST_P(ShardStoreContract, ATransactionSeesItsOwnWritesAndTheNextOneSeesThem) {
  const std::uint32_t database = this->last_database();
  const IdentityKey key = contract::KeyIn(this->shards(), database, 0);
  const Member member = contract::FullMember(contract::MemberIn(this->shards(), database, 0), key);
  const LookupRow row{member.id, OperationId(18)};
  bool saw_all = false;
  ASSERT_TRUE(this->Run(database, [&](ShardTransaction& transaction) -> Result<void> {
    MUSTER_TRY(transaction.WriteMember(member, contract::ChangeOf(member)));
    MUSTER_TRY(transaction.WriteLookup(key, row));
    MUSTER_TRY(transaction.records().WriteOperation(OperationId(18), OperationOutcome::kCommitted));
    MUSTER_ASSIGN(const auto own_member, transaction.ReadMember(member.id));
    MUSTER_ASSIGN(const auto own_row, transaction.ReadLookup(key));
    MUSTER_ASSIGN(const auto own_outcome, transaction.records().ReadOperation(OperationId(18)));
    saw_all = own_member == member && own_row == row && own_outcome == OperationOutcome::kCommitted;
    return {};
  }));
  EXPECT_TRUE(saw_all);
  EXPECT_EQ(this->MemberNow(member.id), member) << "a field is lost between writing and reading";
  EXPECT_EQ(this->LookupNow(key), row);
  EXPECT_EQ(this->OutcomeNow(database, OperationId(18)), OperationOutcome::kCommitted);
}

TYPED_TEST_P(ShardStoreContract, AMemberIsReplacedWhole) {
  const std::uint32_t database = this->last_database();
  Member member = contract::FullMember(contract::MemberIn(this->shards(), database, 0),
                                       contract::KeyIn(this->shards(), database, 0));
  const auto write = [&] {
    return this->Run(database, [&](ShardTransaction& transaction) {
      return transaction.WriteMember(member, contract::ChangeOf(member));
    });
  };
  ASSERT_TRUE(write());
  member = contract::PlainMember(member.id, Version(8));
  ASSERT_TRUE(write());
  EXPECT_EQ(this->MemberNow(member.id), member);
}

TYPED_TEST_P(ShardStoreContract, AnErrorRollsBackEverythingAndComesThrough) {
  const std::uint32_t database = this->last_database();
  const IdentityKey kept = contract::KeyIn(this->shards(), database, 0);
  const IdentityKey fresh = contract::KeyIn(this->shards(), database, 1);
  const Member before = contract::FullMember(contract::MemberIn(this->shards(), database, 0), kept);
  const LookupRow row{before.id, OperationId(18)};
  ASSERT_TRUE(this->Run(database, [&](ShardTransaction& transaction) -> Result<void> {
    MUSTER_TRY(transaction.WriteMember(before, contract::ChangeOf(before)));
    return transaction.WriteLookup(kept, row);
  }));

  const MemberId fresh_id = contract::MemberIn(this->shards(), database, 1);
  const Result<void> refused = this->Run(database, [&](ShardTransaction& transaction) -> Result<void> {
    Member after = before;
    after.version = Version(8);
    after.city = "Harbin";
    MUSTER_TRY(transaction.WriteMember(after, contract::ChangeOf(after)));
    const Member other = contract::PlainMember(fresh_id);
    MUSTER_TRY(transaction.WriteMember(other, contract::ChangeOf(other, ChangeType::kRegistered)));
    MUSTER_TRY(transaction.WriteLookup(kept, std::nullopt));
    MUSTER_TRY(transaction.WriteLookup(fresh, LookupRow{fresh_id, OperationId(19)}));
    MUSTER_TRY(transaction.records().WriteOperation(OperationId(19), OperationOutcome::kAborted));
    return Fail(contract::Refusal());
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), contract::Refusal());

  EXPECT_EQ(this->MemberNow(before.id), before);
  EXPECT_EQ(this->MemberNow(fresh_id), std::nullopt);
  EXPECT_EQ(this->LookupNow(kept), row);
  EXPECT_EQ(this->LookupNow(fresh), std::nullopt);
  EXPECT_EQ(this->OutcomeNow(database, OperationId(19)), std::nullopt);
  EXPECT_EQ(this->factory_.History(before.id).size(), 1U);
  EXPECT_TRUE(this->factory_.History(fresh_id).empty());
  EXPECT_EQ(this->factory_.Stream(database).size(), 1U);
}

TYPED_TEST_P(ShardStoreContract, HistoryAndStreamHoldWhatTheCommitSaid) {
  const std::uint32_t database = this->last_database();
  const IdentityKey key = contract::KeyIn(this->shards(), database, 0);
  const MemberId first = contract::MemberIn(this->shards(), database, 0);
  const MemberId second = contract::MemberIn(this->shards(), database, 1);
  std::vector<Change> written;
  const auto write = [&](MemberId id, std::int64_t version, ChangeType type) {
    const Member member = contract::PlainMember(id, Version(version));
    Change change = contract::ChangeOf(member, type);
    change.identities.push_back({"unionid", "wechat", key});
    written.push_back(change);
    return this->Run(database,
                     [&](ShardTransaction& transaction) { return transaction.WriteMember(member, written.back()); });
  };
  ASSERT_TRUE(write(first, 1, ChangeType::kRegistered));
  ASSERT_TRUE(write(second, 1, ChangeType::kImported));
  ASSERT_TRUE(write(first, 2, ChangeType::kIdentityBound));
  ASSERT_TRUE(write(first, 3, ChangeType::kClosed));

  EXPECT_EQ(this->factory_.Stream(database), written);
  EXPECT_EQ(this->factory_.History(first), (std::vector<Change>{written[0], written[2], written[3]}));
  EXPECT_EQ(this->factory_.History(second), (std::vector<Change>{written[1]}));
}

TYPED_TEST_P(ShardStoreContract, TwoChangesOfOneTransactionAreBothKept) {
  const std::uint32_t database = 0;
  const MemberId id = contract::MemberIn(this->shards(), database, 0);
  ASSERT_TRUE(this->Run(database, [&](ShardTransaction& transaction) -> Result<void> {
    for (std::int64_t version : {1, 2}) {
      const Member member = contract::PlainMember(id, Version(version));
      MUSTER_TRY(transaction.WriteMember(member, contract::ChangeOf(member)));
    }
    return {};
  }));
  EXPECT_EQ(this->factory_.History(id).size(), 2U);
  EXPECT_EQ(this->MemberNow(id)->version, Version(2));
}

TYPED_TEST_P(ShardStoreContract, FreeingALookupRemovesItAndFreeingNothingIsFine) {
  const std::uint32_t database = this->last_database();
  const IdentityKey key = contract::KeyIn(this->shards(), database, 0);
  const LookupRow row{MemberId(1), OperationId(1)};
  const auto write = [&](std::optional<LookupRow> next) {
    return this->Run(database, [&](ShardTransaction& transaction) { return transaction.WriteLookup(key, next); });
  };
  ASSERT_TRUE(write(std::nullopt));
  ASSERT_TRUE(write(row));
  EXPECT_EQ(this->LookupNow(key), row);
  ASSERT_TRUE(write(LookupRow{MemberId(2), OperationId(3)}));
  EXPECT_EQ(this->LookupNow(key), (LookupRow{MemberId(2), OperationId(3)}));
  ASSERT_TRUE(write(std::nullopt));
  EXPECT_EQ(this->LookupNow(key), std::nullopt);
}

TYPED_TEST_P(ShardStoreContract, ShardsOfOneDatabaseShareATransaction) {
  const std::uint32_t database = this->last_database();
  const IdentityKey key = contract::KeyIn(this->shards(), database, 0);
  std::uint32_t index = 0;
  while (ShardOf(contract::MemberIn(this->shards(), database, index)) == ShardOf(key)) ++index;
  const Member member = contract::PlainMember(contract::MemberIn(this->shards(), database, index));
  ASSERT_TRUE(this->Run(database, [&](ShardTransaction& transaction) -> Result<void> {
    MUSTER_TRY(transaction.WriteLookup(key, LookupRow{member.id, OperationId(1)}));
    return transaction.WriteMember(member, contract::ChangeOf(member));
  }));
  EXPECT_TRUE(this->MemberNow(member.id).has_value());
  EXPECT_TRUE(this->LookupNow(key).has_value());
}

// Many threads compare and swap one row: each generation of it is taken exactly once.
TYPED_TEST_P(ShardStoreContract, CompareAndSwapOfALookupIsWonByOne) {
  constexpr int kThreads = 4;
  constexpr std::int64_t kGenerations = 25;
  const std::uint32_t database = this->last_database();
  const IdentityKey key = contract::KeyIn(this->shards(), database, 0);
  std::vector<std::atomic<int>> winners(kGenerations + 1);
  const auto swap = [&](std::int64_t generation, MemberId who) {
    bool won = false;
    EXPECT_TRUE(this->Run(database, [&](ShardTransaction& transaction) -> Result<void> {
      won = false;
      MUSTER_ASSIGN(const auto row, transaction.ReadLookup(key));
      const std::int64_t standing = row ? row->operation_id.value() : 0;
      if (standing != generation - 1) return {};
      won = true;
      return transaction.WriteLookup(key, LookupRow{who, OperationId(generation)});
    }));
    if (won) winners[static_cast<std::size_t>(generation)].fetch_add(1);
  };
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (std::int64_t generation = 1; generation <= kGenerations; ++generation)
        swap(generation, MemberId(thread + 1));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::int64_t generation = 1; generation <= kGenerations; ++generation) {
    EXPECT_EQ(winners[static_cast<std::size_t>(generation)].load(), 1) << "generation " << generation;
  }
}

// Read, add one, write: with a lost update the last version would be lower.
TYPED_TEST_P(ShardStoreContract, NoUpdateIsLostBetweenThreads) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 25;
  const std::uint32_t database = this->last_database();
  const MemberId id = contract::MemberIn(this->shards(), database, 0);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        EXPECT_TRUE(this->Run(database, [&](ShardTransaction& transaction) -> Result<void> {
          MUSTER_ASSIGN(std::optional<Member> member, transaction.ReadMember(id));
          Member next = member.value_or(contract::PlainMember(id, Version(0)));
          next.version = Version(next.version.value() + 1);
          return transaction.WriteMember(next, contract::ChangeOf(next));
        }));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(this->MemberNow(id)->version, Version(kThreads * kRounds));
  const std::vector<Change> history = this->factory_.History(id);
  ASSERT_EQ(history.size(), static_cast<std::size_t>(kThreads * kRounds));
  for (std::size_t index = 0; index < history.size(); ++index) {
    EXPECT_EQ(history[index].version, Version(static_cast<std::int64_t>(index) + 1));
  }
}

// Each thread takes its own key only when the other's is free: under anything weaker than serialisable (write skew),
// both would be taken at once.
TYPED_TEST_P(ShardStoreContract, TransactionsThatReadTwoRowsAndWriteOneAreSerialisable) {
  const std::uint32_t database = this->last_database();
  const IdentityKey keys[2] = {contract::KeyIn(this->shards(), database, 0),
                               contract::KeyIn(this->shards(), database, 1)};
  std::atomic<int> both_taken{0};
  const auto play = [&](int self) {
    for (std::int64_t round = 1; round <= 25; ++round) {
      bool took = false;
      bool saw_both = false;
      EXPECT_TRUE(this->Run(database, [&](ShardTransaction& transaction) -> Result<void> {
        MUSTER_ASSIGN(const auto other, transaction.ReadLookup(keys[1 - self]));
        MUSTER_ASSIGN(const auto own, transaction.ReadLookup(keys[self]));
        saw_both = other && own;
        took = !other;
        if (!took) return {};
        return transaction.WriteLookup(keys[self], LookupRow{MemberId(self + 1), OperationId(round)});
      }));
      if (saw_both) both_taken.fetch_add(1);
      if (took) {
        EXPECT_TRUE(this->Run(database, [&](ShardTransaction& transaction) {
          return transaction.WriteLookup(keys[self], std::nullopt);
        }));
      }
    }
  };
  std::thread first(play, 0);
  std::thread second(play, 1);
  first.join();
  second.join();
  EXPECT_EQ(both_taken.load(), 0);
}

// Many at once, some of which fail: each is judged alone, whatever group it was committed with; a transaction may run
// several times, but its effect and its `done` come once.
TYPED_TEST_P(ShardStoreContract, AFailureInAGroupHurtsNobodyElse) {
  constexpr std::int64_t kCount = 200;
  const std::uint32_t database = this->last_database();
  std::vector<IdentityKey> keys;
  for (std::uint32_t index = 0; index < kCount; ++index)
    keys.push_back(contract::KeyIn(this->shards(), database, index));
  std::mutex mutex;
  std::condition_variable arrived;
  std::vector<int> calls(kCount, 0);
  std::vector<bool> succeeded(kCount, false);
  std::int64_t outstanding = kCount;
  for (std::int64_t number = 0; number < kCount; ++number) {
    const auto index = static_cast<std::size_t>(number);
    this->shards().Run(
        database,
        [&, number, index](ShardTransaction& transaction) -> Result<void> {
          MUSTER_TRY(transaction.WriteLookup(keys[index], LookupRow{MemberId(number + 1), OperationId(number + 1)}));
          if (number % 7 == 3) return Fail(contract::Refusal());
          return {};
        },
        [&, index](Result<void> result) {
          std::lock_guard lock(mutex);
          ++calls[index];
          succeeded[index] = result.has_value();
          --outstanding;
          arrived.notify_one();
        });
  }
  {
    std::unique_lock lock(mutex);
    arrived.wait(lock, [&] { return outstanding == 0; });
  }
  for (std::int64_t number = 0; number < kCount; ++number) {
    const auto index = static_cast<std::size_t>(number);
    EXPECT_EQ(calls[index], 1);
    EXPECT_EQ(succeeded[index], number % 7 != 3);
    EXPECT_EQ(this->LookupNow(keys[index]).has_value(), number % 7 != 3);
  }
}

TYPED_TEST_P(ShardStoreContract, WhatIsDoneIsVisibleToWhoeverIsToldSo) {
  const std::uint32_t database = this->last_database();
  for (std::uint32_t index = 0; index < 50; ++index) {
    const IdentityKey key = contract::KeyIn(this->shards(), database, index);
    ASSERT_TRUE(this->Run(database, [&](ShardTransaction& transaction) {
      return transaction.WriteLookup(key, LookupRow{MemberId(1), OperationId(index + 1)});
    }));
    ASSERT_EQ(this->LookupNow(key), (LookupRow{MemberId(1), OperationId(index + 1)}));
  }
}

TYPED_TEST_P(ShardStoreContract, TheDatabasesGoByTheClock) {
  for (std::uint32_t database = 0; database < this->factory_.database_count(); ++database) {
    const Timestamp before = this->shards().Now(database);
    this->factory_.clock().Advance(std::chrono::seconds(5));
    EXPECT_EQ(this->shards().Now(database) - before, std::chrono::seconds(5));
  }
}

REGISTER_TYPED_TEST_SUITE_P(ShardStoreContract, EveryShardHasOneDatabaseForEver,
                            MembersAndKeysLiveInTheDatabaseOfTheirShard, AnEmptyStoreHoldsNothing,
                            ATransactionSeesItsOwnWritesAndTheNextOneSeesThem, AMemberIsReplacedWhole,
                            AnErrorRollsBackEverythingAndComesThrough, HistoryAndStreamHoldWhatTheCommitSaid,
                            TwoChangesOfOneTransactionAreBothKept, FreeingALookupRemovesItAndFreeingNothingIsFine,
                            ShardsOfOneDatabaseShareATransaction, CompareAndSwapOfALookupIsWonByOne,
                            NoUpdateIsLostBetweenThreads, TransactionsThatReadTwoRowsAndWriteOneAreSerialisable,
                            AFailureInAGroupHurtsNobodyElse, WhatIsDoneIsVisibleToWhoeverIsToldSo,
                            TheDatabasesGoByTheClock);

}  // namespace muster
