#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "databases.h"
#include "domain/ports/shard_store.h"
#include "domain/ports/shard_upkeep.h"
#include "scheduler.h"
#include "trace.h"
#include "weather.h"

namespace muster::sim {

// The store as one process reaches it, during one life of that process: requests and answers take a random time and
// overtake each other, are refused or lost; the process sleeps, or dies, around any of them. What a dead process waits
// for never comes. What it reaches is the memory twin, which runs the contract (domain/ports/shard_store_contract.h).
class SimShardStore final : public ShardStore, public ShardUpkeep {
 public:
  struct Surroundings {
    Scheduler& scheduler;
    Random& random;
    Databases& databases;
    const Weather& weather;
    Trace& trace;
    bool is_alone;  // there is one process
  };

  // `crashed` is called once, in an event of its own, when the weather ends the process.
  SimShardStore(const Surroundings& surroundings, std::string process, std::function<void()> crashed);
  // Whatever is under way is dropped.
  ~SimShardStore() override { *alive_ = false; }

  using ShardStore::DatabaseOf;
  std::uint32_t DatabaseOf(ShardId shard) const override { return shards().DatabaseOf(shard); }
  OperationsUnderWay* under_way() override { return around_.is_alone ? &under_way_ : nullptr; }
  void Run(std::uint32_t database, Transaction transaction, Done done) override;
  Timestamp Now(std::uint32_t database) const override;
  Result<std::vector<LookupEntry>> ScanLookups(std::uint32_t database, const IdentityKey& after,
                                               std::size_t limit) override {
    return shards().ScanLookups(database, after, limit);
  }
  Result<std::vector<MemberId>> ScanMarked(std::uint32_t database, MemberId after, std::size_t limit) override {
    return shards().ScanMarked(database, after, limit);
  }
  void ForgetOperations(std::uint32_t database, Timestamp before, Forgotten done) override;
  void ForgetAnswers(std::uint32_t database, Timestamp before, Forgotten done) override;

 private:
  MemoryShardStore& shards() const { return around_.databases.shards(); }
  Duration Travel();
  void MaybePause();
  void Crash();
  // Calls `work` after `delay`, and not before the process is awake; never, when it is dead.
  void Later(Duration delay, Scheduler::Work work);
  void Arrive(std::uint32_t database, Duration sent, Transaction& transaction, Done done);

  const Surroundings around_;
  OperationsUnderWay under_way_;
  const std::string process_;
  std::function<void()> crashed_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Duration paused_until_{0};
  RememberedRows remembered_;
  bool in_transaction_ = false;
  mutable std::vector<Timestamp> last_now_;
};

}  // namespace muster::sim
