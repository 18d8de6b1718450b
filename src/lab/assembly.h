#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "lab/fleet.h"
#include "lab/lab_topology.h"
#include "lab/layout.h"
#include "lab/process_keeper.h"
#include "lab/programs.h"

namespace muster::lab {

// How a lab comes up, the first time and each other: etcd and Redis at once; data directories; databases; their
// replication and the topology, once; the first muster server, which makes the key of `admin`; the others. For one
// thread.
class Assembly {
 public:
  struct Parts {
    const Layout* layout = nullptr;
    const Programs* programs = nullptr;
    ProcessKeeper* keeper = nullptr;
    const LabTopology* topology = nullptr;
    Fleet* fleet = nullptr;
    const Clock* clock = nullptr;
    const std::atomic<bool>* is_over = nullptr;  // then it gives up
    std::function<void(std::string)> tell;       // what is being done
  };
  explicit Assembly(Parts parts) : parts_(std::move(parts)) {}

  Result<void> Run(bool engines_only);
  // Until each of them answers. A process that ends is an error that names its log.
  Result<void> Await(const Fleet::Chosen& chosen);

 private:
  Result<void> StartDatabases();
  Result<void> AwaitTopology();
  Result<void> StartServers();
  Result<void> AwaitEach(const Fleet::Chosen& chosen, const std::function<bool(const ComponentStatus&)>& is_well);

  const Parts parts_;
  bool is_topology_made_ = false;
};

}  // namespace muster::lab
