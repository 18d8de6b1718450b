#pragma once

#include <memory>
#include <string>

#include "topology/etcd/client.h"
#include "topology/topology_signal.h"

namespace muster::etcd {

// Watches `key`. `client` outlives it.
std::unique_ptr<TopologySignal> MakeWatchSignal(Client& client, std::string key);

}  // namespace muster::etcd
