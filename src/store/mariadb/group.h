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

#include "base/bounded_queue.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/result.h"
#include "domain/commit_floor.h"
#include "domain/keyring.h"
#include "domain/ports/commit_listener.h"
#include "domain/ports/member_cache.h"
#include "domain/ports/shard_store.h"
#include "store/answer_shares.h"
#include "store/mariadb/session.h"
#include "store/mariadb/transaction.h"
#include "store/mariadb/upkeep.h"
#include "topology/shard_map.h"
#include "topology/writer_lease.h"

namespace muster::mariadb {

struct GroupMetrics {
  GroupMetrics(MetricRegistry& registry, const MetricLabels& labels);
  Counter& transactions;
  Counter& restarts;
  Counter& failures;
  Counter& unknown;
  Counter& connects;
  Histogram& commit_seconds;
};

// One group's database, as a queue and a pool of threads, each with a session of its own:
//
//   take one → lease? → BEGIN, fence → run it → validate → lease? → floor.Begin, cache.Erase → COMMIT → floor.End →
//   lease?
//     ▲          └ WRITES_UNAVAILABLE          │                                                 │                  └
//     OUTCOME_UNKNOWN └── again, a little later: duplicate, deadlock, lock wait                                  └ no
//     answer: OUTCOME_UNKNOWN
//
// With a listener an item waits, on no thread, until that is prepared; and what it wrote is announced before `done` is
// called, on no thread of the pool either:
//
//   take one → ready? → … → COMMIT → lease? → Announce → lease? → answer
//     ▲          └ Prepare, then to the end of the queue             └ OUTCOME_UNKNOWN, as when nobody could be told
//
// What has waited, or taken, longer than `transaction_timeout` is answered OVERLOADED: nothing has happened. So an
// answer comes after that and one statement's time-out at most, also when the server has stopped to answer.
//
// When a COMMIT was not answered nobody knows whether it is still on its way. What it touched stays under the floor
// until the server has said that the session is gone: no cache may be filled with it before.
class Group {
 public:
  struct Settings {
    std::uint32_t index = 0;
    SessionSettings session;
    std::size_t connections = 16;
    std::size_t queue_max = 4096;
    Duration transaction_timeout = std::chrono::seconds(10);
    int attempts_max = 20;
    Duration clock_refresh = std::chrono::seconds(30);  // how old the measured offset of the server's clock may be
    std::string pool = "write";                         // its name in metrics, and of its threads
    bool keeps_answers = true;                          // else they are not counted
    AnswerOptions answers = {};
    bool lasts = true;  // as long as the process: it has gauges, which are registered once
  };
  struct Dependencies {
    const Keyring& keyring;
    const Clock& clock;
    Random& random;
    Logger& logger;
    MetricRegistry& metrics;
    CommitFloor& floor;
    MemberCache* cache;  // may be null
    ShardMapSource shards;
    WriterLeaseSource lease;
    std::function<void(std::uint32_t)> on_change = {};  // told of a commit with something new in this group's outbox
    CommitListener* listener = nullptr;                 // has to hear of writes; may be null
  };
  using Work = std::move_only_function<Result<void>(Transaction&)>;

  Group(const Settings& settings, const Dependencies& dependencies);
  ~Group();  // Close() must have been called
  Group(const Group&) = delete;

  // Connects once, measures the server's clock and counts; then starts the threads. May be called again, when it failed
  // or not.
  Result<void> Start();

  // Thread-safe. `done` is called on a thread of the pool or of the listener; at once, on the caller's, when too many
  // wait, the group moves or is closed. It must not wait for another transaction.
  void Run(Work work, ShardStore::Done done);

  // The server's clock, by the offset that was measured last.
  Timestamp Now() const { return clock_.Now() + Duration(offset_micros_.load(std::memory_order_relaxed)); }

  // The error of the last transaction if the server was the cause. When there was none for kProbeEvery, or it failed,
  // also tries in the background, once at a time, whether writing works: whoever keeps asking finds out.
  Result<void> Health();

  // Whether this process may write now.
  bool HoldsLease() const;

  // What all processes have kept when it was counted last, and this one since. The count goes on whenever old answers
  // have been forgotten.
  AnswerCount& answer_count() { return answer_count_; }

  // Runs what is queued, refuses the rest, ends the threads, and waits for the listener. Not on one of their threads.
  void Close();

 private:
  struct Item {
    Work run;
    ShardStore::Done done;
    Deadline deadline;
    bool is_prepared = false;  // the listener was asked to
  };
  // What one thread has for itself.
  struct Worker {
    MemberCodec codec;
    std::unique_ptr<Session> session;
    std::thread thread = {};
  };
  struct Attempt {
    Result<void> result;
    bool again = false;  // nothing happened, and it may succeed now
    // Of a success: who else has to hear of it first, and under which lease it was written, if anything was.
    TouchedEntries to_announce = {};
    WriterLease lease = {};
    bool wrote = false;
  };
  // A COMMIT without an answer.
  struct Unsettled {
    std::string session;
    std::vector<MemberId> members;
    std::vector<IdentityKey> keys;
  };

  void Loop(Worker& worker);
  Attempt RunItem(Worker& worker, Item& item);
  void Prepare(Item item);
  void Announce(Item item, Attempt attempt);
  void EndOutstanding();
  std::unexpected<Error> LeaseEnded(bool wrote);
  Attempt TryOnce(Worker& worker, Item& item);
  Attempt Begin(Worker& worker, Transaction& transaction, const WriterLease& lease, std::int64_t shards_revision,
                bool is_fresh);
  Attempt GiveUp(Worker& worker, const Transaction& transaction);
  Attempt Commit(Worker& worker, const Transaction& transaction, const WriterLease& lease);
  Attempt CommitFailed(Worker& worker, const Transaction& transaction, const Error& error);
  Result<void> RaiseFence(Worker& worker, Epoch epoch);
  Result<void> Connect(Worker& worker);
  void Rollback(Worker& worker);
  Result<void> MeasureClock(Session& session);
  void Settle(Session& session);
  void PauseBeforeAgain(int attempt);
  void NoteHealth(const Result<void>& result);
  bool StillCovers(const WriterLease& lease) const;

  const Settings settings_;
  const Keyring& keyring_;
  const Clock& clock_;
  Random& random_;
  Logger& logger_;
  CommitFloor& floor_;
  MemberCache* const cache_;
  const ShardMapSource shards_;
  const WriterLeaseSource lease_;
  const std::function<void(std::uint32_t)> on_change_;
  CommitListener* const listener_;
  GroupMetrics metrics_;

  const std::shared_ptr<BoundedQueue<Item>> queue_;  // gauges read it, and may outlive this object
  std::vector<std::unique_ptr<Worker>> workers_;

  std::atomic<std::int64_t> offset_micros_{0};
  std::atomic<Instant> measured_at_{Instant::min()};

  std::mutex unsettled_mutex_;
  std::vector<Unsettled> unsettled_;
  std::atomic<std::size_t> unsettled_count_{0};

  // Items that the listener has, bounded by queue_max; gauges read it, too.
  const std::shared_ptr<std::atomic<std::size_t>> outstanding_;
  const std::shared_ptr<AnswerShares> answers_;  // gauges may outlive this object
  AnswerCount answer_count_;

  std::mutex closing_mutex_;
  std::condition_variable closed_;
  std::atomic<bool> closing_{false};

  mutable std::mutex health_mutex_;
  std::optional<Error> unhealthy_;
  std::atomic<bool> failing_{false};
  std::atomic<Instant> committed_at_{Instant::min()};
  std::atomic<bool> probing_{false};
};

}  // namespace muster::mariadb
