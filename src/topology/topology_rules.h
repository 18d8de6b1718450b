#pragma once

#include <string>

#include "topology/topology.h"

namespace muster {

// What is a list by name becomes sorted by it, the oldest failovers are forgotten, and groups whose ackers are others
// than in `before` get the document's revision as that of their ackers; so does where the shards live.
void TidyTopology(const TopologyDocument& before, TopologyDocument& document);

// What is wrong with who writes by `document`, whatever was there before it; empty: nothing. The primary of each group
// is in the center that writes, if one does: else nobody could write there, and whose loss it is that stops writes
// would not be known.
std::string FaultOfWriter(const TopologyDocument& document);

// Which rule `after` would break if it took the place of `before`, as the words of an error; empty: none. These are
// what a mistaken controller, or two of them, must not be able to do; `models/failover.pml` shows what each is for.
//
//   * The epoch never falls. The right to write is taken from a center only under a higher one.
//   * With databases it goes from one center to another only through a failover, which begins with nobody's right and
//     ends when each group has its new primary, or is undone while none has been chosen.
//   * A step of a failover is never taken back, the database to promote never changed, and none is promoted before the
//     leases of the last writer have ended.
//   * A group whose commits wait for nobody is failed over by an operator alone, who accepts the loss.
//   * A cache of a center is never forgotten and its epoch never falls; it rises with each change but that from WARMING
//     to ON.
//   * Groups are numbered by their names: none goes, and a new one's name stands behind all others. It begins without
//     shards.
//   * A shard lives in another group only by a move of shards, one batch at a time, when that has been fenced; none
//     moves while a failover is under way. A term of a mover never falls, and a step is one of those that
//     database_groups.h draws.
//   * An acker begins as `joining`, and goes only after it was `leaving`, unless its group is `degraded` by that
//   change.
std::string BrokenRule(const TopologyDocument& before, const TopologyDocument& after);

}  // namespace muster
