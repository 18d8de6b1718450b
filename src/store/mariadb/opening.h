#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "store/mariadb/mariadb_store.h"
#include "store/mariadb/session.h"
#include "topology/shard_map.h"

// What happens to the groups before a store is opened on them.
namespace muster::mariadb {

// One of each group, in their order: those that the options name, or those of the placement. INVALID_ARGUMENT;
// INTERNAL: the password cannot be read; WRITES_UNAVAILABLE: the placement has no groups yet.
Result<std::vector<SessionSettings>> SessionsOf(const MariadbOptions& options, const PlacementSource& placement);

// Looks at every group before it changes one, then brings the tables forward and holds each database to its place.
// Notes in `sessions` what their rows must say of themselves. Answers the highest number that was given to a member or
// an operation.
Result<std::int64_t> PrepareGroups(std::vector<SessionSettings>& sessions, const ShardMapSource& shards,
                                   const MariadbOptions& options, const MariadbDependencies& dependencies);

// Says in the log what is unsafe or advised against in the settings of copies that can be reached: one of them may be
// the next primary.
void LookAtCopies(const std::vector<SessionSettings>& sessions, const MariadbDependencies& dependencies);

// Tries again what failed because a primary cannot be reached or moves, until the time is over. Blocks.
class Patience {
 public:
  Patience(Duration at_most, Logger& logger) : until_(clock_.Monotonic() + at_most), logger_(logger) {}

  template <typename Try>
  auto For(Try attempt) -> decltype(attempt()) {
    while (true) {
      auto result = attempt();
      if (result || !GoesOn(result.error())) return result;
    }
  }

 private:
  // Pauses if there is time.
  bool GoesOn(const Error& error);

  const SystemClock clock_;  // of pauses alone
  const Instant until_;
  Logger& logger_;
  std::string said_;
};

}  // namespace muster::mariadb
