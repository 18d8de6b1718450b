#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "store/mariadb/group.h"
#include "store/mariadb/primary_link.h"
#include "store/mariadb/shard_copy.h"
#include "store/mariadb/shard_mover_options.h"

namespace muster::mariadb {

// Carries out the move of shards that the topology names (database_groups.h draws its steps, decision 0029 and
// models/move_shards.pml say why they suffice). Every process has one, and the one that leads works. What it does is
// written down there and in the databases, so whoever comes after it goes on.
//
// * Whoever carries it out takes a term: a revision. With it a fence that another one left is taken back, so that
//   writes do not wait for databases that cannot be reached. It is written into the fences of both groups, which waits
//   for what an earlier one has under way there; each of its transactions compares it, under a lock. So an earlier
//   mover, however late it wakes up, changes nothing.
// * A term ends with an epoch: then primaries are others, and all is compared again.
// * To fence a batch, the topology says so first, then the fence of the group that is left asks for a map of at least
//   that revision, which waits for the transactions under way: from then on nobody writes to the batch, whatever he
//   believes and however long he stood still.
// * The outbox is empty of the batch before it is switched: its changes stand in the stream before those of the other
//   group.
// * It is switched only when all counts and checksums are the same, under the epoch under which it was fenced: no group
//   has failed over meanwhile.
// * The fence stays for a lease after the switch: then no reader takes the group that was left for one that cannot have
//   been overtaken. That needs no database.
// * Rows are deleted only behind a mark in the same database. Who finds nothing there looks at it.
//
// What fails within a fence takes the fence away. Owns one thread; a thread and two connections in each of the two
// groups while a move is under way. Start and Stop are called once each, by the owner.
class ShardMover {
 public:
  struct Dependencies {
    const Clock& clock;
    Logger& logger;
    MetricRegistry& metrics;
  };
  // Makes a group of one connection, which ends with the move.
  using LaneMaker = std::function<std::unique_ptr<Group>(std::uint32_t group)>;
  // `sessions`: one for each group, in their order.
  ShardMover(ShardMoverOptions options, LaneMaker make_lane, std::vector<SessionSettings> sessions,
             const Dependencies& dependencies);
  ~ShardMover();  // stops
  ShardMover(const ShardMover&) = delete;

  void Start();
  void Stop();

 private:
  using Work = ShardCopy::Work;
  // One of the two groups.
  struct End {
    std::uint32_t group = 0;
    std::unique_ptr<Group> lane;
    PrimaryLink link;
    ~End() { lane->Close(); }
  };
  // What is done under one term.
  struct Moving {
    std::int64_t term = 0;
    std::unique_ptr<End> from = {};
    std::unique_ptr<End> to = {};
    std::unique_ptr<ShardCopy> copy = {};  // none: the groups have not been told of the term
    int slow_fences = 0;
  };

  void Run();
  bool Wait(Duration at_most);
  // One step of the move; nothing when none is to be carried out here.
  Result<void> Turn();
  Result<void> TakeTerm(const TopologyDocument& document);
  Result<void> TellTerm(const TopologyDocument& document);
  // The next shards that have not moved; when there are none the move has ended.
  Result<void> BeginBatch();
  Result<void> CopyBatch(const TopologyDocument& document);
  Result<void> Fence(const TopologyDocument& document);
  Result<void> SwitchWhileFenced(const TopologyDocument& document);
  Result<void> AwaitOutbox(const ShardSet& batch);
  Result<void> AwaitLeases(const TopologyDocument& document);
  Result<void> Clean(const TopologyDocument& document);
  Result<void> Undo(const TopologyDocument& document);
  Result<void> DeleteRows(End& end, const ShardSet& shards);
  Result<std::uint64_t> CopyOnce(const ShardSet& batch);
  Result<void> CopyOfGroup();
  // What the group's database is told that lives there, for whoever opens it.
  Result<void> TellShards(End& end, const ShardSet& shards);
  Result<void> Raise(End& end, const std::string& column, std::int64_t revision);
  Result<void> Change(const std::function<Result<void>(TopologyDocument&)>& change);
  Result<void> Step(ShardMoveStep next);
  Result<void> GoOn() const;
  Result<void> RunUnderTerm(End& end, const Work& work);
  Result<void> RunAndWait(End& end, Work work);
  std::unique_ptr<End> MakeEnd(std::uint32_t group) const;
  void Note(const Result<void>& turn);

  const ShardMoverOptions options_;
  const Clock& clock_;
  Logger& logger_;
  Counter& rows_;
  Counter& batches_;
  Counter& fences_taken_back_;
  Histogram& fence_seconds_;
  const LaneMaker make_lane_;
  const std::vector<SessionSettings> sessions_;

  // Of the mover's thread.
  std::optional<Moving> moving_;
  Epoch epoch_{0};  // by which connections are placed
  std::optional<Instant> fenced_at_;
  Instant fence_until_ = Instant::max();
  std::string failing_;

  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable stop_asked_;
  std::thread thread_;
};

}  // namespace muster::mariadb
