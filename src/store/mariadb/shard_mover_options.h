#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "topology/topology.h"

namespace muster::mariadb {

// Whoever is to carry out moves of shards.
struct ShardMoverOptions {
  TopologyStore* topology = nullptr;  // null: nobody here
  // What is known of the topology without asking anybody, and whether this process is to act: one of all is, mostly.
  // Two at once cost work and no safety.
  struct Sight {
    std::shared_ptr<const TopologyDocument> document = nullptr;
    bool leads = false;
  };
  std::function<Sight()> sight = {};
  std::string name = {};         // of this process among all
  std::size_t batch_shards = 8;  // that are fenced together
  // For how long writes to a batch are refused before it is taken back, at most; what follows the switch is not
  // counted: a lease of the topology, and a read of it.
  Duration fence_max = std::chrono::seconds(5);
  // Called before each step is begun, with its name: for tests. May be null.
  std::function<void(const std::string&)> on_step = {};
};

}  // namespace muster::mariadb
