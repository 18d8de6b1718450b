#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "cache/redis/keys.h"
#include "cache/redis/slots.h"
#include "cache/redis/testing/redis_fixture.h"
#include "domain/ports/center_cache_contract.h"

namespace muster {
namespace {

using testing::CenterDocument;
using testing::RedisCenters;
using testing::RedisServer;

constexpr std::size_t kNodes = 3;

class RedisCluster {
 public:
  RedisCluster() {
    for (auto& node : nodes_) {
      node = std::make_unique<RedisServer>(std::vector<std::string>{
          "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-config-file", "nodes.conf"});
    }
    for (std::size_t i = 0; i < kNodes; ++i) {
      const std::size_t first = redis::kSlotCount * i / kNodes, end = redis::kSlotCount * (i + 1) / kNodes;
      nodes_[i]->Run({"CLUSTER", "ADDSLOTSRANGE", std::to_string(first), std::to_string(end - 1)});
      if (i > 0) nodes_[0]->Run({"CLUSTER", "MEET", "127.0.0.1", std::to_string(nodes_[i]->port())});
    }
    for (auto& node : nodes_) {
      EXPECT_TRUE(node->Await({"CLUSTER", "INFO"}, "cluster_state:ok"));
      EXPECT_TRUE(node->Await({"CLUSTER", "INFO"}, "cluster_known_nodes:3"));
    }
  }
  RedisServer& node(std::size_t number) { return *nodes_[number]; }
  // One seed is enough.
  RedisOptions Options() {
    RedisOptions options = RedisCenters::Options({nodes_[0]->endpoint()});
    options.is_cluster = true;
    return options;
  }
  std::size_t OwnerOf(std::uint16_t slot) {
    for (std::size_t i = 0; i < kNodes; ++i) {
      if (!nodes_[i]->Run({"GET", TagOf(slot)}).starts_with("-MOVED")) return i;
    }
    return kNodes;
  }
  std::string IdOf(std::size_t number) { return nodes_[number]->Run({"CLUSTER", "MYID"}); }
  // The keys of a slot to another node, which serves them by ASK until the end of the move.
  void MoveKeys(std::uint16_t slot, std::size_t from, std::size_t to) {
    const std::string text = std::to_string(slot);
    EXPECT_EQ(nodes_[to]->Run({"CLUSTER", "SETSLOT", text, "IMPORTING", IdOf(from)}), "OK");
    EXPECT_EQ(nodes_[from]->Run({"CLUSTER", "SETSLOT", text, "MIGRATING", IdOf(to)}), "OK");
    std::vector<std::string> command = {"MIGRATE", "127.0.0.1", std::to_string(nodes_[to]->port()), "", "0",
                                        "5000",    "KEYS"};
    const std::string keys = nodes_[from]->Run({"CLUSTER", "GETKEYSINSLOT", text, "1000"});
    for (std::size_t at = 0, end = 0; (end = keys.find('\n', at)) != std::string::npos; at = end + 1) {
      command.push_back(keys.substr(at, end - at));
    }
    EXPECT_EQ(nodes_[from]->Run(command), "OK");
  }
  void EndMove(std::uint16_t slot, std::size_t to) {
    for (auto& node : nodes_) {
      EXPECT_EQ(node->Run({"CLUSTER", "SETSLOT", std::to_string(slot), "NODE", IdOf(to)}), "OK");
    }
  }

 private:
  static std::string TagOf(std::uint16_t slot) {
    for (int number = 0;; ++number) {
      if (redis::SlotOf(std::to_string(number)) == slot) return "{" + std::to_string(number) + "}";
    }
  }

  std::array<std::unique_ptr<RedisServer>, kNodes> nodes_;
};

RedisCluster& SharedCluster() {
  static RedisCluster cluster;
  return cluster;
}

class RedisClusterFactory {
 public:
  RedisClusterFactory() { centers_.BeginAndUse(Epoch(1)); }
  CenterCache& cache(int view) { return centers_.view(view); }
  void SetState(CacheState state) { centers_.state = state; }
  std::optional<bool> BeginEpoch(Epoch epoch) {
    const Result<bool> begun = centers_.Begin(epoch);
    return begun ? std::optional(*begun) : std::nullopt;
  }
  void RunUntil(const std::function<bool()>& done) { EXPECT_TRUE(centers_.RunUntil(done)); }
  void LoseEverything() {
    for (std::size_t i = 0; i < kNodes; ++i) SharedCluster().node(i).Run({"FLUSHALL"});
  }
  void OutlastLease() {
    const Instant until = now() + std::chrono::milliseconds(centers_.options.lease_ms + 20);
    EXPECT_TRUE(centers_.RunUntil([&] { return now() > until; }));
  }
  Instant now() { return centers_.clock.Monotonic(); }

 private:
  RedisCenters centers_{SharedCluster().Options()};
};

INSTANTIATE_TYPED_TEST_SUITE_P(RedisCluster, CenterCacheContract, RedisClusterFactory);

TEST(RedisClusterTest, ASlotThatMovesTakesItsEntriesAndFloorsAlong) {
  RedisCluster& cluster = SharedCluster();
  RedisCenters centers(cluster.Options());
  centers.BeginAndUse(Epoch(1));
  const std::int64_t id = 4711;
  const std::uint16_t slot = redis::SlotOf(ShardOf(MemberId(id)));
  const std::size_t from = cluster.OwnerOf(slot), to = (from + 1) % kNodes;
  ASSERT_LT(from, kNodes);
  ASSERT_TRUE(centers.Fill(id, 1));

  cluster.MoveKeys(slot, from, to);  // ASK
  EXPECT_EQ(centers.Get(id).kind, LookupKind::kHit);
  EXPECT_GT(centers.Counter("redirections"), 0U);
  // Redis runs nothing of several keys while their slot moves: a writer has to try again, and nobody is lied to.
  EXPECT_EQ(centers.Touch(id, 2, 0, std::chrono::milliseconds(100)).kind, InvalidationKind::kUnreachable);
  EXPECT_EQ(centers.Get(id, 1).kind, LookupKind::kHit);
  EXPECT_EQ(centers.Get(id + 1024 * 1024).kind, LookupKind::kMiss) << "other slots are not concerned";

  cluster.EndMove(slot, to);  // MOVED
  EXPECT_EQ(centers.Get(id).kind, LookupKind::kHit);
  EXPECT_EQ(centers.Touch(id, 2).kind, InvalidationKind::kDone);
  EXPECT_EQ(centers.Get(id, 1).floor, Version(2));
  EXPECT_EQ(centers.Touch(id, 3, 1).kind, InvalidationKind::kDone);
  EXPECT_EQ(centers.Get(id).floor, Version(3));
  // The map is known by now: nobody is sent elsewhere any more.
  const std::uint64_t redirections = centers.Counter("redirections");
  for (int i = 0; i < 20; ++i) centers.Get(id);
  EXPECT_EQ(centers.Counter("redirections"), redirections);
}

TEST(RedisClusterTest, ManyGetsOfATurnGoToTheirNodes) {
  RedisCenters centers(SharedCluster().Options());
  centers.BeginAndUse(Epoch(1));
  for (std::int64_t id = 1; id <= 100; ++id) ASSERT_TRUE(centers.Fill(id, id));
  int answered = 0;
  for (std::int64_t id = 1; id <= 100; ++id) {
    centers.view(0).Get(MemberId(id), Deadline(), [&answered, id](const MemberLookup& found) {
      ++answered;
      ASSERT_TRUE(found.member);
      EXPECT_EQ(found.member->version(), Version(id));
    });
  }
  EXPECT_TRUE(centers.RunUntil([&] { return answered == 100; }));
}

TEST(RedisClusterTest, ANodeThatLostItsDataIsNotBelievedAndTheOthersAre) {
  RedisCluster& cluster = SharedCluster();
  RedisCenters centers(cluster.Options(), 1);
  centers.BeginAndUse(Epoch(1));
  std::array<std::int64_t, kNodes> ids{};  // one of each node
  for (std::int64_t id = 1; std::ranges::find(ids, 0) != ids.end(); ++id) {
    ids[cluster.OwnerOf(redis::SlotOf(ShardOf(MemberId(id))))] = id;
  }
  for (const std::int64_t id : ids) ASSERT_TRUE(centers.Fill(id, 1));
  cluster.node(1).Run({"FLUSHALL"});
  EXPECT_EQ(centers.Touch(ids[1], 2).kind, InvalidationKind::kLost);
  EXPECT_EQ(centers.Get(ids[1]).kind, LookupKind::kUnusable);
  EXPECT_TRUE(centers.RunUntil([&] { return centers.Get(ids[0]).kind == LookupKind::kHit; }));
  EXPECT_EQ(centers.Touch(ids[2], 2).kind, InvalidationKind::kDone);
}

// The last: it changes the cluster for good.
TEST(RedisClusterTest, AReplicaThatTookOverIsNotBelievedBeforeANewEpoch) {
  RedisCluster& cluster = SharedCluster();
  RedisServer replica(
      {"--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-config-file", "nodes.conf"});
  cluster.node(0).Run({"CLUSTER", "MEET", "127.0.0.1", std::to_string(replica.port())});
  ASSERT_TRUE(replica.Await({"CLUSTER", "INFO"}, "cluster_known_nodes:4"));
  ASSERT_TRUE(replica.Await({"CLUSTER", "NODES"}, cluster.IdOf(2)));
  ASSERT_EQ(replica.Run({"CLUSTER", "REPLICATE", cluster.IdOf(2)}), "OK");
  ASSERT_TRUE(replica.Await({"INFO", "replication"}, "master_link_status:up"));
  RedisCenters centers(cluster.Options());
  // It takes over what it knows its primary to serve, and the primary yields to a replica that it knows.
  ASSERT_TRUE(centers.RunUntil([&] {
    const std::string nodes = replica.Run({"CLUSTER", "NODES"});
    const std::size_t primary = nodes.find(cluster.IdOf(2) + " 127.");
    return primary != std::string::npos &&
           nodes.substr(primary, nodes.find('\n', primary) - primary).contains("-16383");
  }));
  ASSERT_TRUE(cluster.node(2).Await({"CLUSTER", "NODES"}, "slave " + cluster.IdOf(2)));

  centers.BeginAndUse(Epoch(1));
  std::int64_t id = 1;
  while (cluster.OwnerOf(redis::SlotOf(ShardOf(MemberId(id)))) != 2) ++id;
  ASSERT_TRUE(centers.Fill(id, 1));
  ASSERT_EQ(replica.Run({"CLUSTER", "FAILOVER", "TAKEOVER"}), "OK");
  for (int view = 0; view < 2; ++view) {
    EXPECT_TRUE(centers.RunUntil([&] { return centers.Touch(id, 2, view).kind == InvalidationKind::kLost; }));
    EXPECT_EQ(centers.Get(id, view).kind, LookupKind::kUnusable);
  }
  centers.BeginAndUse(Epoch(2));
  EXPECT_EQ(centers.Touch(id, 2).kind, InvalidationKind::kDone);
  EXPECT_EQ(centers.Get(id).floor, Version(2));
}

}  // namespace
}  // namespace muster
