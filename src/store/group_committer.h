#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "domain/commit_floor.h"
#include "domain/ports/member_cache.h"
#include "domain/ports/shard_store.h"
#include "store/file_transaction.h"

namespace muster {

// A log that has grown this long is moved into its file, between two groups. While readers or a full disk hold that up
// it grows further, and each doubling waits for readers (kBusyTimeoutMs of sqlite_database.cc).
inline constexpr std::int64_t kWalPagesMax = 16384;
// How long a commit stands for "writing works".
inline constexpr Duration kProbeEvery = std::chrono::seconds(1);
// Outcomes that one call of ForgetOperations deletes at most.
inline constexpr std::int64_t kForgetMax = 10'000;
// The same of ForgetChanges: some milliseconds of the writer.
inline constexpr std::int64_t kForgetChangesMax = 5'000;

struct WriterMetrics {
  WriterMetrics(MetricRegistry& registry, const MetricLabels& labels);
  Counter& groups;
  Counter& transactions;
  Counter& failures;
  Counter& reruns;
  Histogram& commit_seconds;
  Histogram& checkpoint_seconds;
};

// The one thread that writes a file. It takes what is queued, runs it in one SQLite transaction, makes that durable
// with one flush, and has those of a group answered by a second thread, while it runs the next one:
//
//   pop a group → BEGIN → run each → floor.Begin, cache.Erase → COMMIT → floor.End → hand over → maybe checkpoint
//                                                                                     └► answer each
//
// What answers a caller goes on with what the caller does next: a fifth of the time that a group takes.
//
// A transaction that refuses has, as a rule, written nothing yet: it has nothing to undo and leaves the group. One that
// fails after it wrote, or that made the engine give the transaction up, makes the group roll back and run again one by
// one.
//
// A group is what has come while the last one was made durable; nobody waits for it to fill.
class GroupCommitter {
 public:
  struct Settings {
    std::size_t group_max;
    std::size_t queue_max;
  };
  struct Dependencies {
    const Clock& clock;
    Logger& logger;
    MetricRegistry& metrics;
    CommitFloor& floor;
    MemberCache* cache;  // may be null
    ChangePositions& positions;
  };

  GroupCommitter(std::unique_ptr<FileTransaction> file, std::string name, const Settings& settings,
                 const Dependencies& dependencies);
  ~GroupCommitter();  // Close() must have been called
  GroupCommitter(const GroupCommitter&) = delete;

  using Transaction = std::move_only_function<Result<void>(FileTransaction&)>;

  // Thread-safe. `done` is called on a thread of this object, in no order between transactions; at once, on the
  // caller's, when the queue is full or closed. It must not wait for another transaction.
  void Run(Transaction transaction, ShardStore::Done done);

  // The error of the last commit if it failed. When there was none for kProbeEvery, or it failed, also tries in the
  // background, once at a time, whether writing works: whoever keeps asking finds out without writing.
  Result<void> Health();

  std::int64_t member_count() const { return shared_->members.load(std::memory_order_relaxed); }
  std::int64_t wal_pages() const { return shared_->wal_pages.load(std::memory_order_relaxed); }

  // Runs what is queued, refuses the rest, empties the log into the file, ends the threads. Not on one of them.
  void Close();

 private:
  struct Item {
    Transaction run;
    ShardStore::Done done;
    Result<void> result;
  };
  // Committed groups that may wait for their answers; the writer answers what comes on top of them itself.
  static constexpr std::size_t kGroupsAnsweredLater = 2;
  // What gauges read; they may outlive this object.
  struct Shared {
    explicit Shared(std::size_t queue_max) : queue(queue_max) {}
    BoundedQueue<Item> queue;
    std::atomic<std::int64_t> members{0};
    std::atomic<std::int64_t> wal_pages{0};
  };

  void Loop();
  void HandOver(std::vector<Item> group);
  static void Answer(std::vector<Item> group);
  void RunGroup(std::vector<Item>& group);
  // False: the group was rolled back and has to run one by one. Never false for a group of one.
  bool TryGroup(std::span<Item> group);
  Result<void> CommitTouched();
  void FailAll(std::span<Item> group, const Error& error);
  void NoteHealth(const Result<void>& commit);
  void MaybeCheckpoint(std::int64_t pages_max, Database::Checkpoint kind);

  const std::unique_ptr<FileTransaction> file_;
  const std::string name_;
  const Settings settings_;
  const Clock& clock_;
  Logger& logger_;
  CommitFloor& floor_;
  MemberCache* const cache_;
  ChangePositions& positions_;
  WriterMetrics metrics_;
  const std::shared_ptr<Shared> shared_;

  std::int64_t checkpoint_at_ = kWalPagesMax;

  mutable std::mutex health_mutex_;
  std::optional<Error> unhealthy_;
  std::atomic<bool> failing_{false};
  std::atomic<Instant> committed_at_{Instant::min()};  // the last group that wrote
  std::atomic<bool> probing_{false};
  std::atomic<bool> closing_{false};

  BoundedQueue<std::vector<Item>> answers_{kGroupsAnsweredLater};
  std::thread writer_;
  std::thread answerer_;
};

}  // namespace muster
