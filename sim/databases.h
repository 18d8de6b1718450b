#pragma once

#include <map>
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

  // A transaction of a process, when it arrives.
  struct Arrival {
    std::uint32_t database;
    Duration sent;
    RememberedRows& remembered;
    bool commit_fails;
  };
  // Runs and commits now, or, when `commit_fails`, runs and rolls back. The result is what the caller is told.
  Result<void> Execute(const Arrival& arrival, ShardStore::Transaction& transaction);

 private:
  class WatchedTransaction;

  void FreeWrongly(const MemberWrite& write);
  void KeepLate(std::uint32_t database, const KeptAnswers& answers);

  Scheduler& scheduler_;
  Random& random_;
  Checker& checker_;
  const Planted bug_;
  std::vector<std::unique_ptr<SimulatedClock>> clocks_;
  std::unique_ptr<MemoryShardStore> shards_;
  std::map<RequestHash, Duration> kept_at_;  // for kAnswerSoughtBefore
};

}  // namespace muster::sim
