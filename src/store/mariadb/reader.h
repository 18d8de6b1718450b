#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/random.h"
#include "domain/commit_floor.h"
#include "domain/keyring.h"
#include "domain/ports/member_reader.h"
#include "store/mariadb/read_batch.h"
#include "store/sqlite_reader.h"

namespace muster::mariadb {

// Threads that read for all loops, each with a connection to each server that it asks.
class ReaderPool {
 public:
  using Job = std::move_only_function<void(ReadBatch&)>;

  ReaderPool(std::size_t threads, const std::vector<SessionSettings>& groups, const ReadTimes& times,
             const ShardMapSource& shards, const Keyring& keyring, Random& random, const Clock& clock);
  ~ReaderPool();  // Close() must have been called
  ReaderPool(const ReaderPool&) = delete;

  std::size_t threads() const { return threads_.size(); }
  // False when too many wait, or the pool is closed; the job is then untouched.
  [[nodiscard]] bool TryRun(Job&& job) { return jobs_.TryPush(std::move(job)); }
  // Runs what waits, and ends the threads.
  void Close();

 private:
  static constexpr std::size_t kJobsMax = 1024;

  BoundedQueue<Job> jobs_{kJobsMax};
  ServerWatch watch_;
  std::vector<std::unique_ptr<ReadBatch>> batches_;
  std::vector<std::thread> threads_;
};

struct PooledReaderDependencies {
  EventLoop& loop;
  const Clock& clock;
  const CommitFloor& floor;
  ReaderMetrics metrics;
  std::size_t reads_per_turn = kReadsPerTurnMax;  // at least 1
};

// The leaf of a route tree: gathers the reads of a turn, and those that come while as many batches as may be are under
// way, into one batch for the pool. Reads are answered by
//
//   (plain)         a copy that is behind by `lag_max` at most, else the primary, else any copy;
//   prefer_primary  the primary, else any copy;
//   no_cache        the primary that is sure to be it, or OVERLOADED.
//
// An answer says which it was and how old it may be. One below `min_version` is not given: the next server is asked,
// and when the primary, or nobody else, is below it: STALE. What answers of copies mean is said at ReadBatch.
std::unique_ptr<MemberReader> MakePooledReader(ReaderPool& pool, const PooledReaderDependencies& dependencies);

}  // namespace muster::mariadb
