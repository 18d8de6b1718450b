#pragma once

#include <string_view>

#include "topology/topology.h"

namespace muster::failover {

// As what a database server is to be started: for whoever starts it (a unit's ExecStartPre, the lab).
enum class StartRole : std::uint8_t {
  kAsPrimary,  // it keeps all that its log has
  kAsReplica,  // MariaDB: --init-rpl-role=SLAVE; it gives up what had not been committed, and so not acknowledged
};

// As a replica only once the topology says that another database was promoted: before that the log may hold what was
// acknowledged, and is the best there is. As the primary for one that the topology does not know.
StartRole StartRoleOf(const TopologyDocument& document, std::string_view database);

}  // namespace muster::failover
