#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "store/mariadb/testing/mariadb_group.h"
#include "store/sqlite_test_support.h"
#include "topology/failover/failover_runner.h"
#include "topology/failover/memory_observer_board.h"
#include "topology/topology.h"

namespace muster::testing {

// The failover of a group: a topology in a file, and an observer in each center ("se", "sw") and at the witness ("so").
// The group outlives it.
class MariadbRunners {
 public:
  // `controls`: false: they look only, and nobody repairs what a test does.
  explicit MariadbRunners(MariadbGroup& group, bool controls = true);
  ~MariadbRunners();
  MariadbRunners(const MariadbRunners&) = delete;

  TopologyStore& store() { return *store_; }
  TopologyDocument Topology() { return **store_->Read(); }
  failover::FailoverRunner& operator[](const std::string& name) { return *runners_.at(name); }
  // Nothing is under way, and both ackers acknowledge.
  bool IsWhole();
  std::string Attention();

 private:
  TemporaryDirectory directory_;
  SystemRandom random_;
  std::unique_ptr<TopologyStore> store_;
  std::shared_ptr<failover::MemoryObserverBoard::Shared> shared_ =
      std::make_shared<failover::MemoryObserverBoard::Shared>();
  std::vector<std::unique_ptr<failover::MemoryObserverBoard>> boards_;
  std::map<std::string, std::unique_ptr<failover::FailoverRunner>> runners_;
};

}  // namespace muster::testing
