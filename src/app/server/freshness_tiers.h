#pragma once

#include <string>
#include <vector>

#include "app/server/center_caches.h"
#include "app/server/center_options.h"
#include "app/server/route_trees.h"
#include "base/clock.h"
#include "cache/freshness_sampler.h"
#include "store/mariadb/connection.h"
#include "topology/topology_watcher.h"

namespace muster {

// All that outlives the sampler.
struct FreshnessSurroundings {
  const CenterOptions& options;
  CenterCaches& caches;
  TopologyWatcher& watcher;
  const RouteTrees& routes;
  const Clock& clock;
  mariadb::Account control;
  std::string database;      // that holds the members, on each server
  Duration replica_lag_max;  // of a database that is no primary
};

// Every place where reads of this installation may find a member: the caches of all centers, which have to have a write
// when it is acknowledged; this server's own reads, whose near cache may be a second behind; and the databases that the
// topology names now.
std::vector<FreshnessTier> FreshnessTiers(const FreshnessSurroundings& around);

}  // namespace muster
