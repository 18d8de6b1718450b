#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "domain/shard_set.h"
#include "topology/topology.h"

namespace muster {

struct ShardMoveRequest {
  ShardSet shards = {};
  std::string from = {};  // groups
  std::string to = {};
};

// What would be done, for people.
struct ShardMovePlan {
  ShardMoveRequest request = {};
  std::vector<std::string> steps = {};
  std::int64_t revision = 0;  // of the topology by which it is done; 0: it was only asked for
};

// Why the move cannot begin: INVALID_ARGUMENT about the request, STATE_CONFLICT about the topology.
Result<ShardMovePlan> PlanShardMove(const ShardMoveRequest& request, const TopologyDocument& document);

// Writes it down as a move that begins; whoever controls carries it out. Errors of PlanShardMove.
Result<void> BeginShardMove(const ShardMoveRequest& request, Timestamp now, TopologyDocument& document);

// What becomes of one that is stopped.
ShardMovePlan PlanOfStop(const TopologyDocument& document);

// Nothing begins any more: what is under way and has not been switched is undone, what has been is brought to its end.
// STATE_CONFLICT: nothing moves.
Result<void> StopShardMove(TopologyDocument& document);

// Of the move under way. STATE_CONFLICT: what is acknowledged would be in fewer centers than it is.
Result<void> CheckMayMove(const TopologyDocument& document);

// The next step of whoever carries it out under `term`. STATE_CONFLICT: somebody else does, or a failover is under way.
// Errors of CheckMayMove.
Result<void> StepShardMove(std::int64_t term, ShardMoveStep next, TopologyDocument& document);

// What is to be moved next: `at_most` of the shards that have not moved yet; none: all have, or it was stopped.
ShardSet NextBatch(const TopologyDocument& document, std::size_t at_most);

}  // namespace muster
