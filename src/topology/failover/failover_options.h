#pragma once

#include <chrono>

#include "base/clock.h"

namespace muster::failover {

// Times of detection and upkeep. Those of detection, the election time-out of etcd and the writer lease share the time
// for which writes are away when a center is lost.
struct FailoverOptions {
  Duration reached_within = std::chrono::milliseconds(400);  // a look that old still says that a database answers
  Duration detect_after = std::chrono::milliseconds(700);    // without an answer for so long a primary may be lost
  Duration report_fresh = std::chrono::milliseconds(700);    // a report that did not move on for so long says nothing
  Duration board_settles = std::chrono::milliseconds(200);  // the board has to answer for so long before silence counts
  Duration topology_fresh = std::chrono::seconds(1);        // a topology that was confirmed no later is acted upon
  int observers_min = 1;                                    // outside of the center, fresh and agreed
  // An acker that fails, or is behind, for so long goes out of the set; the last one: the group degrades.
  Duration acker_patience = std::chrono::seconds(1);
  Duration planned_at_most = std::chrono::seconds(3);     // then a switchover that has chosen nothing yet is undone
  Duration last_primary_after = std::chrono::seconds(2);  // a failover that waits for an acker asks the last primary
  Duration undo_after = std::chrono::seconds(5);  // the same for a failover, once the last writer's center is back
  Duration hold_back = std::chrono::minutes(5);   // between two failovers that nobody asked for
};

}  // namespace muster::failover
