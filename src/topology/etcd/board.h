#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "topology/etcd/client.h"
#include "topology/failover/observer_board.h"

namespace muster::etcd {

// Reports under `prefix` and the name of their observer; `timeout`: of one exchange. `client` outlives it.
std::unique_ptr<failover::ObserverBoard> MakeObserverBoard(Client& client, std::string prefix, Duration timeout);

}  // namespace muster::etcd
