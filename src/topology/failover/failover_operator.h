#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "topology/failover/failover_plan.h"
#include "topology/failover/loss_detector.h"
#include "topology/failover/replica_lag.h"
#include "topology/failover/sight.h"
#include "topology/topology.h"

namespace muster::failover {

// What one server knows of the databases, beside the topology that it goes by.
struct FailoverStatus {
  std::shared_ptr<const TopologyDocument> document = nullptr;
  bool leads = false;
  std::string controller = {};  // whom this observer holds for it
  CenterVerdict verdict = {};
  std::vector<std::string> attention = {};  // as this observer sees it, and what its controller has told
  std::map<std::string, DatabaseSight, std::less<>> databases = {};
  Instant now{};
  // What a store's placement is made of.
  Instant document_at = Instant::min();  // when the read was sent that last confirmed it
  ReplicaLag::Times has_all_before = {};
};

// What operators ask of a server about failover. Thread-safe.
class FailoverOperator {
 public:
  virtual ~FailoverOperator() = default;

  virtual FailoverStatus Status() const = 0;
  // A dry run: what would be done, and what is in its way.
  virtual FailoverPlan Plan(const FailoverRequest& request) const = 0;
  // Begins it; whoever controls goes on, and the topology says when it has ended. STATE_CONFLICT with all refusals.
  virtual Result<FailoverPlan> Act(const FailoverRequest& request) = 0;
  // A failover under way gives up what the ackers that do not answer may hold alone. STATE_CONFLICT: none is, or none
  // waits for such a one.
  virtual Result<void> AcceptLoss() = 0;
  // Asks that a database becomes a copy of its group's primary; whoever controls has it done, and the topology says
  // when it has ended and how (DatabaseRecord::rebuild). Asked again it is the same request. `dry_run`: only looks
  // whether it could be. NOT_FOUND: there is no such database. STATE_CONFLICT: there is no need for it, or it
  // cannot be now.
  virtual Result<void> Rebuild(std::string_view database, bool dry_run) = 0;
};

}  // namespace muster::failover
