// Where shards live is asked anew each time: a store on a map that changes while it is open.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "domain/ports/shard_store_testing.h"
#include "domain/testing/members.h"
#include "store/mariadb/testing/mariadb_fixture.h"
#include "store/sweeper.h"
#include "topology/shard_map.h"
#include "topology/testing/two_center_topology.h"

namespace muster::mariadb::shards_test {
namespace {

using muster::testing::MariadbHarness;
using ::testing::HasSubstr;

class MariadbShards : public ::testing::Test {
 protected:
  MariadbShards() {
    harness_.shards = [this] {
      std::lock_guard lock(mutex_);
      return map_;
    };
    harness_.MustOpen();
    id_ = contract::MemberIn(shards(), 0, 0);
    neighbour_ = contract::MemberIn(shards(), 0, 1);
    MUSTER_CHECK(ShardOf(id_) != ShardOf(neighbour_));
  }

  ShardStore& shards() { return harness_.store->shards(); }

  // From now on the shard of `id_` lives in that group, by a topology of three.
  void MoveTo(std::uint32_t group) {
    TopologyDocument document = muster::testing::TwoCenters(3);
    for (std::uint16_t shard = 0; shard < kShardCount; ++shard) {
      document.groups[shard == ShardOf(id_).value() ? group : shard % 2].shards.set(shard);
    }
    document.shards_revision = ++revision_;
    auto map = std::make_shared<const ShardMap>(ShardMap::Of(document));
    std::lock_guard lock(mutex_);
    map_ = std::move(map);
  }
  // What a move would have done before.
  void CopyRows() {
    const std::string shard = " WHERE shard = " + std::to_string(ShardOf(id_).value());
    for (const std::string table : {"member", "identity", "history", "record"}) {
      harness_.server.Execute("INSERT INTO " + harness_.Database(1) + "." + table + " SELECT * FROM " +
                              harness_.Database(0) + "." + table + shard);
    }
  }

  Result<void> Write(std::uint32_t database, MemberId id, std::int64_t version) {
    Member member = contract::PlainMember(id);
    member.version = Version(version);
    return contract::RunAndWait(shards(), database, [&](ShardTransaction& rows) {
      return rows.WriteMember(member, contract::ChangeOf(member));
    });
  }
  Result<MemberAnswer> Read(MemberId id) {
    std::optional<Result<MemberAnswer>> answer;
    const auto reader = *harness_.store->MakeReader(loop_);
    reader->Get(id, {}, [&](Result<MemberAnswer> result) { answer.emplace(std::move(result)); });
    EXPECT_TRUE(loop_.RunUntil([&] { return answer.has_value(); }));
    return *answer;
  }
  std::vector<MemberId> Scan() {
    std::vector<MemberId> ids;
    for (const Member& member : harness_.store->archive().ScanMembers(MemberId(0), 100).value())
      ids.push_back(member.id);
    return ids;
  }

  muster::testing::PostedLoop loop_;
  MemberId id_;
  MemberId neighbour_;
  std::int64_t revision_ = 0;
  std::mutex mutex_;
  std::shared_ptr<const ShardMap> map_ = std::make_shared<const ShardMap>(ShardMap::Spread(2));  // guarded by mutex_
  MariadbHarness harness_{2};  // last: its threads ask for the map
};

TEST_F(MariadbShards, ReadsAndWritesFollowAShardToItsGroup) {
  ASSERT_TRUE(Write(0, id_, 1));
  ASSERT_TRUE(Write(0, neighbour_, 1));
  CopyRows();
  MoveTo(1);
  EXPECT_EQ(shards().DatabaseOf(id_), 1U);
  EXPECT_EQ(shards().DatabaseOf(neighbour_), 0U);
  ASSERT_TRUE(Write(1, id_, 2));
  const auto read = Read(id_);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_TRUE(read->member);
  EXPECT_EQ(read->member->version(), Version(2));
  EXPECT_EQ(Read(neighbour_)->member->version(), Version(1));
  EXPECT_EQ(harness_.store->archive().ListHistory(id_, Version(100), 10)->size(), 2U);
  EXPECT_EQ(harness_.store->archive().ReadMembers(std::vector{id_})->front().version, Version(2));
}

TEST_F(MariadbShards, RowsThatAreLeftBehindAreNobodys) {
  ASSERT_TRUE(Write(0, id_, 1));
  ASSERT_TRUE(Write(0, neighbour_, 1));
  const IdentityKey key = [&] {
    for (std::uint32_t index = 0;; ++index) {
      if (const IdentityKey some = contract::KeyIn(shards(), 0, index); ShardOf(some) != ShardOf(id_)) return some;
    }
  }();
  IdentityKey beside = key;
  beside.bytes[0] = static_cast<std::uint8_t>(ShardOf(id_).value() >> 8);
  beside.bytes[1] = static_cast<std::uint8_t>(ShardOf(id_).value());
  for (const IdentityKey& each : {key, beside}) {
    ASSERT_TRUE(contract::RunAndWait(
        shards(), 0, [&](ShardTransaction& rows) { return rows.WriteLookup(each, LookupRow{id_, OperationId(1)}); }));
  }
  CopyRows();
  std::vector<MemberId> both = {id_, neighbour_};
  std::ranges::sort(both);
  for (const std::uint32_t group : {0U, 1U}) {
    MoveTo(group);
    EXPECT_EQ(Scan(), both) << "each once, in whichever group";
    EXPECT_EQ(harness_.store->shard_upkeep().ScanLookups(0, {}, 10)->size(), group == 0 ? 2U : 1U);
    EXPECT_EQ(harness_.store->shard_upkeep().ScanLookups(1, {}, 10)->size(), group == 0 ? 0U : 1U);
  }
}

TEST_F(MariadbShards, AWriteThatComesToTheGroupThatAShardHasLeftIsRefusedAndMayBeSentAgain) {
  MoveTo(1);
  const Result<void> refused = Write(0, id_, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kWritesUnavailable);
  EXPECT_GT(refused.error().retry_after_ms, 0);
  EXPECT_TRUE(Write(0, neighbour_, 1));
  EXPECT_TRUE(Write(1, id_, 1));
  EXPECT_TRUE(harness_.store->Health()) << "nothing is wrong with the group";
}

TEST_F(MariadbShards, AGroupThatWasAddedSinceTheStartSaysThatTheServerHasToBeStartedAgain) {
  MoveTo(2);
  EXPECT_EQ(shards().DatabaseOf(id_), 2U);
  const Result<void> refused = Write(2, id_, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kWritesUnavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("Start it again"));
  const auto read = Read(id_);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().reason, Reason::kOverloaded);
  EXPECT_FALSE(harness_.store->archive().ListHistory(id_, Version(100), 10));
  EXPECT_FALSE(harness_.store->archive().ReadMembers(std::vector{id_}));
  EXPECT_TRUE(Write(0, neighbour_, 1));
  EXPECT_TRUE(Read(neighbour_));
}

TEST_F(MariadbShards, TheSweeperTendsAGroupThatGotItsFirstShardAfterTheStart) {
  {
    // All of them in the first group.
    std::lock_guard lock(mutex_);
    map_ = std::make_shared<const ShardMap>(ShardMap::Spread(1));
  }
  SweeperOptions options;
  options.period_ms = 1'000;
  options.pause_ms = 1;
  MetricRegistry metrics;
  Sweeper sweeper(shards(), harness_.store->shard_upkeep(), options, *harness_.logger, metrics);
  sweeper.Start();
  MoveTo(1);
  ASSERT_TRUE(contract::RunAndWait(shards(), 1, [&](ShardTransaction& rows) {
    return rows.records().WriteOperation(OperationId(1), OperationOutcome::kCommitted);
  }));
  harness_.server.Execute("UPDATE operation SET time = 1", harness_.Database(1));
  EXPECT_TRUE(muster::testing::WaitUntil(
      [&] { return harness_.server.ReadInteger("SELECT COUNT(*) FROM operation", harness_.Database(1)) == 0; }));
  sweeper.Stop();
}

}  // namespace
}  // namespace muster::mariadb::shards_test
