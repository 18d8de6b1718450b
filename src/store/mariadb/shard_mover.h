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
// * Whoever carries it out takes a term: a revision. It is written into the fences of both groups, which waits for what
// an
//   earlier one has under way there; each of its transactions compares it, under a lock. So an earlier mover, however
//   late it wakes up, changes nothing.
// * To fence a batch, the topology says so first, then the fence of the group that is left asks for a map of at least
//   that revision, which waits for the transactions under way: from then on nobody writes to the batch, whatever he
//   believes and however long he stood still.
// * The outbox is empty of the batch before it is switched: its changes stand in the stream before those of the other
//   group.
// * It is switched only when all counts and checksums are the same, under the epoch under which it was fenced: no group
//   has failed over meanwhile.
// * The fence stays for a lease after the switch: then no reader takes the group that was left for one that cannot have
//   been overtaken.
// * Rows are deleted only behind a mark in the same database. Who finds nothing there looks at it.
//
// What fails within a fence takes the fence away. Owns one thread, and one of each lane. Start and Stop are called once
// each, by the owner.
class ShardMover {
 public:
  struct Dependencies {
    const Clock& clock;
    Logger& logger;
    MetricRegistry& metrics;
  };
  // `lanes` and `sessions`: one for each group, in their order; the lanes are used by nobody else.
  ShardMover(ShardMoverOptions options, std::vector<std::unique_ptr<Group>> lanes,
             const std::vector<SessionSettings>& sessions, const Dependencies& dependencies);
  ~ShardMover();  // stops
  ShardMover(const ShardMover&) = delete;

  Result<void> Start();
  void Stop();

 private:
  using Work = ShardCopy::Work;
  // Of one term: what it moves between.
  struct Moving {
    std::int64_t term = 0;
    std::uint32_t from = 0;
    std::uint32_t to = 0;
    std::unique_ptr<ShardCopy> copy;
    int slow_fences = 0;
  };

  void Run();
  bool Wait(Duration at_most);
  // One step of the move; nothing when none is to be carried out here.
  Result<void> Turn();
  Result<void> TakeTerm(const TopologyDocument& document);
  Result<void> CopyBatch(const TopologyDocument& document);
  Result<void> Fence(const TopologyDocument& document);
  Result<void> SwitchWhileFenced(const TopologyDocument& document);
  Result<void> AwaitOutbox(const ShardSet& batch);
  Result<void> AwaitLeases(const TopologyDocument& document);
  Result<void> Clean(const TopologyDocument& document);
  Result<void> Undo(const TopologyDocument& document);
  Result<void> DeleteRows(std::uint32_t group, const ShardSet& shards);
  Result<std::uint64_t> CopyOnce(const ShardSet& batch);
  // What the group's database is told that lives there, for whoever opens it.
  Result<void> TellShards(std::uint32_t group, const ShardSet& shards);
  Result<void> Raise(std::uint32_t group, const std::string& column, std::int64_t revision);
  Result<void> Change(const std::function<Result<void>(TopologyDocument&)>& change);
  Result<void> Step(ShardMoveStep next);
  Result<void> GoOn() const;
  Result<void> RunUnderTerm(std::uint32_t group, const Work& work);
  Result<void> RunAndWait(std::uint32_t group, Work work);
  void Note(const Result<void>& turn);

  const ShardMoverOptions options_;
  const Clock& clock_;
  Logger& logger_;
  Counter& rows_;
  Counter& batches_;
  Counter& fences_taken_back_;
  Histogram& fence_seconds_;
  const std::vector<std::unique_ptr<Group>> lanes_;
  std::vector<std::unique_ptr<PrimaryLink>> links_;

  // Of the mover's thread.
  std::optional<Moving> moving_;
  std::optional<Instant> fenced_at_;
  Instant fence_until_ = Instant::max();
  std::string failing_;

  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable stop_asked_;
  std::thread thread_;
};

}  // namespace muster::mariadb
