#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "store/mariadb/placement.h"
#include "topology/failover/failover_runner.h"
#include "topology/failover/replica_lag.h"
#include "topology/shard_map.h"
#include "topology/topology.h"

namespace muster::mariadb {

// Where the groups are for a process in `center`, by a topology that a read confirmed which was sent at `document_at`,
// and by what is known of copies. A group has no primary while a failover is under way or nobody may write.
std::vector<GroupPlacement> PlacementOf(const TopologyDocument& document, Instant document_at, std::string_view center,
                                        const failover::ReplicaLag::Times& has_all_before);

// The placement that a failover runner's sight gives, looked at again when it is asked for and older than kFreshFor.
// Thread-safe: one of those who ask looks, the others take what there is.
class TopologyPlacement {
 public:
  static constexpr Duration kFreshFor = std::chrono::milliseconds(20);
  using StatusSource = std::function<failover::FailoverStatus()>;

  TopologyPlacement(StatusSource status, std::string center, const Clock& clock);

  std::shared_ptr<const std::vector<GroupPlacement>> Now();
  // Where the shards live, by the same sight or a later one than what was asked of `Now` before.
  std::shared_ptr<const ShardMap> Shards();

 private:
  struct Seen {
    std::vector<GroupPlacement> groups;
    ShardMap shards;
  };

  // Rows that have come with shards are in a copy once it has all until they were known to have come.
  void DistrustCopies(Seen& seen, Instant now);

  std::shared_ptr<const Seen> LookAndTake();
  void Look();

  const StatusSource status_;
  const std::string center_;
  const Clock& clock_;
  std::mutex looking_;
  Instant looked_at_ = Instant::min();                  // guarded by looking_
  std::map<std::string, Instant, std::less<>> gained_;  // by group: when it was seen to have more shards; likewise
  std::mutex mutex_;
  std::shared_ptr<const Seen> now_;  // guarded by mutex_
};

}  // namespace muster::mariadb
