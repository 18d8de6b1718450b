#pragma once

#include <memory>
#include <string>
#include <utility>

#include "topology/failover/failover_options.h"
#include "topology/failover/sight.h"
#include "topology/testing/two_center_topology.h"

namespace muster::failover::testing {

// What observer "so" at the witness sees when all is well: every database answered just now, and so did the board.
inline Sight WellSight(TopologyDocument document = ::muster::testing::TwoCenters()) {
  const Instant now(std::chrono::seconds(1000));
  Sight sight{.self = "so", .center = "witness", .now = now, .wall = Timestamp(std::chrono::seconds(1'700'000'000))};
  sight.document_at = sight.board_at = now;
  sight.board_since = now - std::chrono::seconds(10);
  for (const GroupRecord& group : document.groups) {
    for (const DatabaseRecord& database : group.databases) {
      DatabaseState state{
          .obeyed = 10, .applied = GtidPosition::Of(0, 1, 100), .received = GtidPosition::Of(0, 1, 100)};
      if (database.name == group.primary) {
        state.is_writable = state.waits = true;
      } else {
        state.following = group.Find(group.primary)->AddressFrom(database.center);
        state.receives = state.is_connected = state.applies = true;
        state.acknowledges = state.may_have_acknowledged = group.FindAcker(database.name) != nullptr;
      }
      sight.databases[database.name] = {.state = state, .looked_at = now};
    }
  }
  sight.document = std::make_shared<TopologyDocument>(std::move(document));
  return sight;
}

inline void Report(Sight& sight, const std::string& observer, const std::string& center,
                   std::vector<std::string> reaches, Duration age = Duration(0)) {
  sight.reports.push_back(
      {.report =
           {.observer = observer, .center = center, .sequence = 1, .controls = true, .reaches = std::move(reaches)},
       .moved_at = sight.now - age});
}

// The last answer of a database becomes old.
inline void Silence(Sight& sight, const std::string& database, Duration age = std::chrono::seconds(1)) {
  sight.databases[database].looked_at = sight.now - age;
}

inline Sight EastIsLost() {
  Sight sight = WellSight();
  Silence(sight, "e1");
  Silence(sight, "e2");
  return sight;
}

}  // namespace muster::failover::testing
