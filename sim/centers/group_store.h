#pragma once

#include <memory>
#include <string>

#include "centers/center_places.h"
#include "centers/center_world.h"
#include "centers/replicated_group.h"
#include "domain/ports/commit_listener.h"
#include "domain/ports/shard_store.h"
#include "topology/writer_lease.h"

namespace muster::sim {

// The group as one process writes to it: the steps of store/mariadb/group.cc, in their order, over messages that
// travel.
//
//   lease ──► primary: fence, transaction, COMMIT ──► an acker has it ──► lease ──► both caches have heard ──► lease
//   ──► answer
class GroupStore final : public ShardStore {
 public:
  struct Around {
    CenterWorld& world;
    TopologyTwin& topology;
    ReplicatedGroup& group;
    CenterChecker& checker;
    ProcessLife& life;
    CenterPlaces& places;
    std::string server;
    Place place;
    WriterLeaseSource lease;
    std::function<void()> look = {};  // which caches are out of reach, as a tick of the caches' loop sees
    CommitListener* listener = nullptr;
  };
  explicit GroupStore(const Around& around) : around_(around) {}

  std::uint32_t DatabaseOf(ShardId /*shard*/) const override { return 0; }
  void Run(std::uint32_t database, Transaction transaction, Done done) override;
  Timestamp Now(std::uint32_t /*database*/) const override { return around_.world.clock.Now(); }

 private:
  // A transaction on its way.
  struct Item {
    Transaction transaction;
    Done done;
    Deadline deadline;
    std::string primary = {};
    WriterLease lease = {};
    TouchedEntries touched = {};
    std::uint64_t value = 0;
    bool is_answered = false;
  };
  using ItemRef = std::shared_ptr<Item>;

  static constexpr Duration kTransactionTimeout = std::chrono::milliseconds(1500);
  static constexpr Duration kStatementTimeout = std::chrono::milliseconds(1200);
  static constexpr Duration kAgain = std::chrono::milliseconds(4);

  void Try(const ItemRef& item);
  void Arrive(const ItemRef& item);
  void RaiseFence(const ItemRef& item);
  void Await(const ItemRef& item, std::uint64_t value, std::move_only_function<void(bool)> then);
  void AfterCommit(const ItemRef& item);
  bool Covers(const WriterLease& lease) const;
  // To the process, after its way back, and once; later, when that is lost.
  void Answer(const ItemRef& item, Result<void> result);
  void Later(const ItemRef& item, Duration delay, std::move_only_function<void()> work);

  const Around around_;
};

}  // namespace muster::sim
