#include "traffic/testing/memory_topology.h"

#include "topology/topology_store_contract.h"

namespace muster {
namespace {

class MemoryFactory {
 public:
  TopologyStore& store() { return store_; }
  TopologyStore& other() { return store_; }

 private:
  MemoryTopology store_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, TopologyStoreContract, MemoryFactory);

}  // namespace
}  // namespace muster
