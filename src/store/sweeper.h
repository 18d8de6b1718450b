#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "base/options.h"
#include "base/task.h"
#include "domain/ports/change_feed.h"
#include "domain/ports/shard_store.h"
#include "domain/ports/shard_upkeep.h"

namespace muster {

// One step of the sweeper: looks at up to `limit` lookup rows of one database, from above `after` on, and frees those
// that dangle: whose owner does not list them. It takes the same path as a reservation that finds a row in its way, to
// FREE, so it can abort an operation that is under way; it spares what is younger than kOperationAgeMax by its
// number, which is courtesy, not safety. What it leaves when it fails or is destroyed, a later one finds.
struct SweepProgress {
  IdentityKey next;            // where to go on; all zero: the end was reached
  std::uint64_t examined = 0;  // lookup rows read
  std::uint64_t freed = 0;
  std::uint64_t unreadable = 0;  // left as they are, because their owner cannot be read: for the doctor
};
Task<Result<SweepProgress>> SweepLookups(ShardStore& shards, ShardUpkeep& upkeep, std::uint32_t database,
                                         IdentityKey after, std::size_t limit);

// Settles the moves (move_steps.h) of up to `limit` marked members of one database, from above `after` on. Aborts those
// that nobody committed when they are older than kOperationAgeMax by their number: their process is not at it any more.
struct MoveProgress {
  MemberId next;                 // where to go on; zero: the end was reached
  std::uint64_t settled = 0;     // marks taken away
  std::uint64_t unreadable = 0;  // left as they are, because one of their ends cannot be read: for the doctor
};
Task<Result<MoveProgress>> SweepMoves(ShardStore& shards, ShardUpkeep& upkeep, std::uint32_t database, MemberId after,
                                      std::size_t limit);

// Forgets the outcomes in one database that are older than kOperationRetention (binding.h), or the answers that have
// been kept for `retention`; answers how many. `now` is by that database's clock.
Task<Result<std::uint64_t>> ForgetOutcomes(ShardUpkeep& upkeep, Timestamp now, std::uint32_t database);
Task<Result<std::uint64_t>> ForgetAnswers(ShardUpkeep& upkeep, Timestamp now, std::uint32_t database,
                                          Duration retention);

// Forgets events of the change feed that are older than `retention`, or more than `keep_max`.
Task<Result<std::uint64_t>> ForgetChanges(ChangeKeeper& keeper, Timestamp now, std::uint32_t database,
                                          Duration retention, std::int64_t keep_max);

struct SweeperOptions {
  std::int64_t period_ms = 60'000;       // how often everything is due again
  std::int64_t pause_ms = 100;           // after each turn
  std::int64_t batch = 64;               // lookup rows, or marked members, in one step
  std::int64_t answers_ms = 86'400'000;  // how long answers are kept for requests that are sent again

  std::int64_t changes_ms = 7LL * 86'400'000;  // how long changes can be read from the stream
  std::int64_t changes_max = 100'000'000;      // how many

  void Declare(OptionRegistry& options);  // store.sweeper.*, store.idempotency.*, store.changes.*
};

// Tends all databases in the background, one after another: a small step of all that is due in one, then a pause. So it
// costs a bounded share, 64 lookup rows each 100 ms, half a percent of one core, and up to 10,000 rows of what is old
// where there is a backlog; and nothing that never comes to its end keeps anything else waiting. Each period all of it
// is due again; walks that are not at their end go on where they are.
//
// Owns one thread. Start and Stop are called once each, by the owner; Stop waits for the step under way and must come
// before the store closes. The destructor stops.
class Sweeper {
 public:
  // `changes` is null where the change stream is kept for ever.
  Sweeper(ShardStore& shards, ShardUpkeep& upkeep, const SweeperOptions& options, Logger& logger,
          MetricRegistry& metrics, ChangeKeeper* changes = nullptr);
  ~Sweeper();
  Sweeper(const Sweeper&) = delete;

  void Start();
  void Stop();

 private:
  // What is still to be done in a database in this period.
  struct Due {
    bool moves = true;
    bool outcomes = true;
    bool answers = true;
    bool changes = true;
    bool lookups = true;
    bool Any() const { return moves || outcomes || answers || changes || lookups; }
  };
  struct Tended {
    std::uint32_t database = 0;
    Due due = {};
    // Where its walks go on.
    MemberId move = {};
    IdentityKey lookup = {};
  };

  void RunForEver();
  // Everything is due, in every database in which a shard lives now or has since the start.
  void BeginPeriod();
  // One step of what is due in the next database; false when nothing is, in any.
  bool TakeTurn();
  void Tend(Tended& tended);
  // Each does one step, and answers whether there is more to do.
  bool SettleMoves(Tended& tended);
  bool Forget(std::uint32_t database, Counter& forgotten, Task<Result<std::uint64_t>> step);
  bool FreeLookups(Tended& tended);
  // Always false: what failed is left for the next period, which goes on where it failed, or, where something could not
  // be read, begins anew.
  bool Note(std::uint32_t database, const Error& error);
  // False when the sweeper is to stop.
  bool Wait(std::int64_t milliseconds);

  ShardStore& shards_;
  ShardUpkeep& upkeep_;
  ChangeKeeper* const changes_;
  const SweeperOptions options_;
  Logger& logger_;
  Counter& examined_;
  Counter& freed_;
  Counter& settled_;
  Counter& forgotten_;
  Counter& forgotten_answers_;
  Counter& forgotten_changes_;
  Counter& failures_;
  std::vector<Tended> tended_;
  std::size_t next_ = 0;

  std::mutex mutex_;
  std::condition_variable stop_asked_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace muster
