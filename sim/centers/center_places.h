#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "centers/center_world.h"
#include "store/mariadb/placement.h"
#include "topology/failover/replica_lag.h"
#include "topology/failover/sight.h"

namespace muster::sim {

// The simulated database at an endpoint of the topology (topology/testing/two_center_topology.h).
std::string DatabaseAt(const mariadb::Endpoint& endpoint);

// Where one process finds the group, as `mariadb::TopologyPlacement` says it from what its failover controller sees.
class CenterPlaces {
 public:
  CenterPlaces(const CenterWorld& world, Place place, const failover::Sight& sight, const failover::ReplicaLag& lag)
      : world_(world), place_(place), sight_(sight), lag_(lag) {}

  const mariadb::GroupPlacement& Now();
  // Where writes go; empty: nowhere, the group moves just now.
  std::string Primary();

 private:
  const CenterWorld& world_;
  const Place place_;
  const failover::Sight& sight_;
  const failover::ReplicaLag& lag_;
  std::vector<mariadb::GroupPlacement> now_ = {{}};
  Instant looked_at_ = Instant::min();
};

}  // namespace muster::sim
