#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "topology/failover/failover_options.h"
#include "topology/failover/observer_board.h"
#include "topology/failover/replica_control.h"
#include "topology/topology.h"

namespace muster::failover {

// The last look at a database that was answered.
struct DatabaseSight {
  DatabaseState state = {};
  Instant looked_at = Instant::min();     // when it was sent; min: never
  Instant obeyed_since = Instant::max();  // when a look had answered that was the first to see this `state.obeyed`
  bool is_busy = false;                   // an order to it is under way
  // The last order to rebuild it that ended here in a way that no further attempt would change.
  struct FailedRebuild {
    std::int64_t revision = 0;  // of the order
    std::string why = {};
  };
  std::optional<FailedRebuild> failed_rebuild = std::nullopt;
};

struct ReportSight {
  ObserverReport report = {};
  Instant moved_at = Instant::min();  // when the read was sent that first had this sequence
};

// All that one controller knows at a moment: what it decides by. It is filled by whoever runs the controller.
struct Sight {
  std::string self = {};  // the observer's own name
  std::string center = {};
  Instant now{};
  Timestamp wall{};
  Instant awake_since{};                            // this process has not stood still since
  Instant turn_stood_still_until = Instant::min();  // or waited for so long as if it had, in the middle of a turn
  std::shared_ptr<const TopologyDocument> document = nullptr;
  Instant document_at = Instant::min();                              // when the read was sent that last confirmed it
  std::string document_error = {};                                   // why the last read did not; empty: it did
  std::map<std::string, DatabaseSight, std::less<>> databases = {};  // by name
  std::vector<ReportSight> reports = {};                             // of others
  Instant board_at = Instant::min();     // when the last exchange was sent that was answered
  Instant board_since = Instant::min();  // and the first one of those without a failure since

  const DatabaseSight* Find(std::string_view database) const {
    const auto found = databases.find(database);
    return found == databases.end() ? nullptr : &found->second;
  }
  // The look, if it is of the last `within`.
  const DatabaseSight* FindReached(std::string_view database, Duration within) const {
    const DatabaseSight* const sight = Find(database);
    return sight != nullptr && sight->looked_at != Instant::min() && now - sight->looked_at <= within ? sight : nullptr;
  }
  // Whether it has moved on in the last `within`.
  bool IsFresh(const ReportSight& report, Duration within) const {
    return report.moved_at != Instant::min() && now - report.moved_at <= within;
  }
};

// An acker that has not begun to acknowledge since it was named: no commit had its word alone, so nothing is lost with
// it, also when it was started again.
inline bool HasNotBegun(const AckerRecord& acker, const DatabaseState& state) {
  return acker.state == AckerState::kJoining && !state.may_have_acknowledged;
}

}  // namespace muster::failover
