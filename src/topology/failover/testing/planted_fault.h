#pragma once

#include <cstdint>

#include "topology/failover/controller_turn.h"

namespace muster::failover {

// What `models/failover.pml` removes in its broken variants, planted here around the controller (never in it): in what
// it sees, in what it wants, in the databases, or in the server that writes. A simulation that does not find one of
// them does not look closely enough.
enum class PlantedFault : std::uint8_t {
  kNone,
  kNoAck,         // a commit does not wait for an acker
  kAnyAcker,      // the first acker's log is taken, not the highest
  kOneReached,    // the failover goes on without an acker that is out of reach
  kNoStop,        // ackers receive while the highest log is looked for
  kOutFirst,      // an acker is named no longer before it is shut out
  kOutBehind,     // an acker is taken out while the others lack what it may have acknowledged alone
  kInLast,        // a replica acknowledges before it is named
  kInForgotten,   // an acker that is joining counts as one that has not begun to acknowledge
  kNoWait,        // leases are not waited for
  kFromReply,     // a lease is timed from the answer
  kNoCheckAfter,  // the server does not look at its lease after the commit
  kNoJournal,     // the database to promote is not written down before
  kNoTruncate,    // an old primary comes back with all it had
};

// What a controller with this fault sees, and what comes of its turn. `journalled`: its own memory of what it chose.
struct PlantedJournal {
  std::int64_t begin_revision = 0;
  std::vector<GroupProgress> groups = {};
};
Sight SeenWith(PlantedFault fault, const Sight& sight, const PlantedJournal& journalled);
void ChangeTurn(PlantedFault fault, const Sight& sight, PlantedJournal& journalled, ControllerTurn& turn);

}  // namespace muster::failover
