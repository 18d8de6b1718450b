#include "app/server/topology_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "topology/failover/testing/sights.h"

namespace muster {
namespace {

using failover::testing::WellSight;
using ::testing::HasSubstr;
using ::testing::Not;

class TopologyMetricsTest : public ::testing::Test {
 protected:
  TopologyMetricsTest() {
    const failover::Sight sight = WellSight();
    status_.document = sight.document;
    status_.databases = sight.databases;
    status_.document_at = sight.document_at;
    status_.now = sight.now;
    metrics_.emplace([this] { return status_; }, [this] { return lease_; }, clock_, registry_);
  }
  // After the time for which a status is kept.
  std::string Expose() {
    clock_.Advance(std::chrono::seconds(1));
    return registry_.Expose();
  }
  void Change(const std::function<void(TopologyDocument&)>& change) {
    TopologyDocument document = *status_.document;
    change(document);
    status_.document = std::make_shared<const TopologyDocument>(std::move(document));
  }

  ManualClock clock_;
  WriterLease lease_ = {.epoch = Epoch(3), .valid_until = Instant::min()};
  failover::FailoverStatus status_;
  MetricRegistry registry_;
  std::optional<TopologyMetrics> metrics_;
};

TEST_F(TopologyMetricsTest, AllIsWell) {
  lease_.valid_until = clock_.Monotonic() + std::chrono::milliseconds(1750);
  const std::string text = Expose();
  EXPECT_THAT(text, HasSubstr("muster_topology_writes{center=\"east\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("muster_topology_writes{center=\"west\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("muster_topology_lease_seconds 0.75\n"));
  EXPECT_THAT(text, HasSubstr("muster_topology_age_seconds 0\n"));
  EXPECT_THAT(text, HasSubstr("muster_failover_group_degraded{group=\"g0\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("muster_failover_group_ackers{group=\"g0\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("muster_failover_under_way 0\n"));
  EXPECT_THAT(text, HasSubstr("muster_failover_attention 0\n"));
  EXPECT_THAT(text, HasSubstr("muster_failover_database_reached{database=\"e2\",group=\"g0\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("muster_failover_database_missing_transactions{database=\"e2\",group=\"g0\"} 0\n"));
}

TEST_F(TopologyMetricsTest, ThePrimaryIsSilentAndTheGroupDegraded) {
  EXPECT_THAT(Expose(), HasSubstr("muster_failover_group_degraded{group=\"g0\"} 0\n"));
  status_.databases["e1"].looked_at = status_.now - std::chrono::seconds(1);
  status_.databases["w1"].state.fault = failover::ReplicaFault::kDiverged;
  status_.attention = {"one thing", "another"};
  status_.document_at = status_.now - std::chrono::milliseconds(2500);
  status_.leads = true;
  Change([](TopologyDocument& document) {
    document.revision = 77;
    document.epoch = Epoch(9);
    document.groups[0].durability = Durability::kDegraded;
    document.groups[0].ackers.clear();
    document.failover = FailoverJournal{};
    document.writer.clear();
    document.caches = {{.center = "east", .epoch = Epoch(1), .mode = CacheMode::kWarming},
                       {.center = "west", .epoch = Epoch(1), .mode = CacheMode::kOn}};
  });
  const std::string text = Expose();
  EXPECT_THAT(text, HasSubstr("muster_topology_revision 77\n"));
  EXPECT_THAT(text, HasSubstr("muster_topology_epoch 9\n"));
  EXPECT_THAT(text, HasSubstr("muster_topology_age_seconds 2.5\n"));
  EXPECT_THAT(text, HasSubstr("muster_topology_lease_seconds 0\n"));
  EXPECT_THAT(text, HasSubstr("muster_topology_writes{center=\"east\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("muster_topology_cache_used{center=\"east\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("muster_topology_cache_used{center=\"west\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("muster_failover_controls 1\n"));
  EXPECT_THAT(text, HasSubstr("muster_failover_under_way 1\n"));
  EXPECT_THAT(text, HasSubstr("muster_failover_attention 2\n"));
  EXPECT_THAT(text, HasSubstr("muster_failover_group_degraded{group=\"g0\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("muster_failover_group_ackers{group=\"g0\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("muster_failover_database_reached{database=\"e1\",group=\"g0\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("muster_failover_database_faulty{database=\"w1\",group=\"g0\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("muster_failover_database_missing_transactions{database=\"e2\",group=\"g0\"} Nan\n"));
}

TEST_F(TopologyMetricsTest, AReplicaThatIsBehindSaysByHowMuch) {
  status_.databases["e1"].state.applied = failover::GtidPosition::Of(0, 1, 142);
  EXPECT_THAT(Expose(), HasSubstr("muster_failover_database_missing_transactions{database=\"w1\",group=\"g0\"} 42\n"));
}

// What was taken out of the topology since the start is told of as unknown, and nothing breaks.
TEST_F(TopologyMetricsTest, AGroupThatIsGoneIsUnknown) {
  Change([](TopologyDocument& document) { document.groups.clear(); });
  EXPECT_THAT(Expose(), HasSubstr("muster_failover_group_ackers{group=\"g0\"} Nan\n"));
}

}  // namespace
}  // namespace muster
