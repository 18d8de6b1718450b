#pragma once

#include "topology/failover/controller_turn.h"
#include "topology/failover/failover_options.h"
#include "topology/failover/sight.h"

namespace muster::failover {

// Decides what is done about the databases of an installation: whether its writing center is lost, the steps of a
// failover or switchover, and the upkeep of the ackers in between. A function of what it sees, and of a little memory;
// it asks nobody, waits for nothing and has no thread (failover_runner.h has).
//
//                     ┌────────────────────────────── undone, while nothing is chosen ──────┐
//                     ▼                                                                     │
//   SERVING (writer) ──► FENCED (no writer, new epoch) ──► CHOSEN ──► PROMOTED ──► SERVING (the other writer)
//      │    ▲             ackers stop receiving            written down: the      every group
//      └────┘             (planned: the primary stops)     database and position
//      upkeep                        └── leases wait ────────────┘
//
// Every arrow is one compare-and-swap of the topology, so several controllers may run at once, and any goes on where
// another one crashed. What a turn wants may be done in any order, partly, late or not at all: orders carry the
// revision they follow from, and a database refuses what is older than what it obeyed. `models/failover.pml` is the
// model.
class FailoverController {
 public:
  explicit FailoverController(FailoverOptions options) : options_(options) {}

  ControllerTurn Decide(const Sight& sight);
  const FailoverOptions& options() const { return options_; }

 private:
  void Remember(const Sight& sight);
  void DecideAbout(const Sight& sight, const ControllerTurn& turn, TurnBuilder& build);

  const FailoverOptions options_;
  ControllerMemory memory_;
};

}  // namespace muster::failover
