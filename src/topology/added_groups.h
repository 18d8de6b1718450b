#pragma once

#include <vector>

#include "base/result.h"
#include "topology/topology.h"

namespace muster {

// Names groups of databases in a document that has some already: without shards, until some are moved to them. From
// then on the document says where each shard lives. INVALID_ARGUMENT: one of `added` cannot be added as it is;
// STATE_CONFLICT: not now.
Result<void> AddGroups(const std::vector<GroupRecord>& added, TopologyDocument& document);

}  // namespace muster
