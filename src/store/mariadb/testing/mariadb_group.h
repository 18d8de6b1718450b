#pragma once

#include <map>
#include <memory>
#include <string>

#include "store/mariadb/testing/mariadb_fixture.h"
#include "topology/failover/replica_control.h"
#include "topology/failover/start_role.h"
#include "topology/topology.h"

namespace muster::testing {

// A group of real servers: the primary "e1" with a replica "e2" beside it in center "east", and the ackers "w1" and
// "w2" in "west". Its database muster has a table `written` of numbers; another one, members, is empty, and for the
// account app.
class MariadbGroup {
 public:
  MariadbGroup();

  MariadbServer& operator[](const std::string& name) { return *servers_.at(name); }
  // As the topology says that it is to be.
  void StartAgain(const std::string& name, failover::StartRole role);
  std::unique_ptr<failover::ReplicaControl> MakeControl(const std::string& name) const;
  failover::DatabaseState Look(const std::string& name) const;
  failover::ReplicationSource SourceOf(const std::string& name) const;
  TopologyDocument Document() const;  // all is well

  const SystemClock clock;

 private:
  std::map<std::string, std::unique_ptr<MariadbServer>> servers_;
};

}  // namespace muster::testing
