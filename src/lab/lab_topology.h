#pragma once

#include <memory>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "lab/layout.h"
#include "topology/failover/start_role.h"
#include "topology/topology.h"

namespace muster::lab {

// What the lab does about the topology and the databases' replication: it makes both the first time, and then reads
// what muster servers make of them. Voters and databases are called directly, past the proxy. Thread-safe.
class LabTopology {
 public:
  LabTopology(const Layout& layout, const Clock& clock, Random& random)
      : layout_(layout), clock_(clock), random_(random) {}

  // STALE: no majority of the voters answers.
  Result<std::shared_ptr<const TopologyDocument>> Read() const;

  // Whether there is one that names the groups.
  Result<bool> IsMade() const;

  // Of each group the first database in A takes writes, which those in B acknowledge; all others follow it. Then the
  // document says so: centers A and B, of which A writes. Once every database and a majority of the voters answer. May
  // be done again when it was interrupted.
  Result<void> Make(Deadline deadline) const;

  // As what a database has to start.
  Result<failover::StartRole> StartRoleOf(const Component& database) const;

  // Has each database of the group that answers be what the topology says of it. Without muster servers nobody else
  // does that; with them it is not done here.
  Result<void> Settle(int group) const;

 private:
  Result<void> Replicate(int group, Deadline deadline) const;
  GroupRecord RecordOf(int group) const;
  std::vector<const Component*> DatabasesOf(int group) const;

  const Layout& layout_;
  const Clock& clock_;
  Random& random_;
};

}  // namespace muster::lab
