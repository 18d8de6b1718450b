#include "topology/restored_topology.h"

#include <cstdint>

namespace muster {
namespace {

// More changes than were made since any backup that is worth restoring.
constexpr std::int64_t kRaisedBy = 1'000'000;

Epoch Raised(Epoch epoch) { return Epoch(epoch.value() + kRaisedBy); }

}  // namespace

Result<void> RaiseRestored(TopologyDocument& document) {
  if (document.groups.empty()) {
    return Fail(Reason::kStateConflict, "this topology names no groups of databases: nothing knows a newer one");
  }
  if (document.failover) {
    return Fail(Reason::kStateConflict,
                "this topology is of the middle of a failover, and its end is not known: restore another backup");
  }
  document.revision += kRaisedBy;
  document.epoch = Raised(document.epoch);
  for (GroupRecord& group : document.groups) {
    group.durability = Durability::kDegraded;
    group.ackers.clear();
  }
  for (CacheRecord& cache : document.caches) {
    cache = {.center = cache.center, .epoch = Raised(cache.epoch), .mode = CacheMode::kBypass};
  }
  return {};
}

}  // namespace muster
