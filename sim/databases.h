#pragma once

#include <memory>
#include <vector>

#include "base/random.h"
#include "checker.h"
#include "planted.h"
#include "scheduler.h"
#include "store/memory_shard_store.h"

namespace muster::sim {

// The databases that all simulated processes share: the memory twin, with a clock of its own for each database, watched
// by the checker, and with the planted bug.
class Databases {
 public:
  Databases(Scheduler& scheduler, Random& random, Checker& checker, Planted bug, std::uint32_t count);

  MemoryShardStore& shards() { return *shards_; }
  Planted bug() const { return bug_; }

  // Runs and commits now, or, when `commit_fails`, runs and rolls back. The result is what the caller is told.
  Result<void> Execute(std::uint32_t database, ShardStore::Transaction& transaction, RememberedRows& remembered,
                       bool commit_fails);

 private:
  class WatchedTransaction;

  void FreeWrongly(const MemberWrite& write);

  Scheduler& scheduler_;
  Random& random_;
  Checker& checker_;
  const Planted bug_;
  std::vector<std::unique_ptr<SimulatedClock>> clocks_;
  std::unique_ptr<MemoryShardStore> shards_;
};

}  // namespace muster::sim
