#include "topology/failover/start_role.h"

namespace muster::failover {

StartRole StartRoleOf(const TopologyDocument& document, std::string_view database) {
  for (const GroupRecord& group : document.groups) {
    if (group.Find(database) == nullptr) continue;
    return group.primary == database || group.promoted_at.empty() ? StartRole::kAsPrimary : StartRole::kAsReplica;
  }
  return StartRole::kAsPrimary;
}

}  // namespace muster::failover
