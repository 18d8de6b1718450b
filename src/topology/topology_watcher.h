#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "topology/topology.h"
#include "topology/topology_signal.h"
#include "topology/writer_lease.h"

namespace muster {

// Keeps the newest topology at hand for all threads of a process, on a thread of its own, and its writer lease
// confirmed.
//
//            read ─────────────── a document ──► CONFIRMED ◄────────────────────┐
//                                                │       ▲                      │
//   none: Start fails                            │ read fails, or answers       │ a document that is
//                                                │ a revision that went back    │ not older
//                                                ▼                              │
//                                              FROZEN: the last document stays ─┘ and the lease runs out
//
// It reads when the signal says so, every `reread` in any case (signals miss some), and a quarter of a lease after the
// last read while it confirms a timed one. A revision that goes back (the store was restored from a backup) is not
// taken up: what this process has done under the newer one cannot be undone, so it wants a restart.
class TopologyWatcher {
 public:
  struct Dependencies {
    TopologyStore* store = nullptr;
    std::unique_ptr<TopologySignal> signal;
    const Clock* clock = nullptr;
    Logger* logger = nullptr;
    WriterLeaseKeeper* lease = nullptr;  // null: this process does not write
    Duration reread = std::chrono::seconds(3);
  };
  // Told each revision that the watcher saw, once and in order, of those after the one that `snapshot` had when it
  // subscribed. Runs on the watcher's thread, so it must be short; it may not subscribe or end subscriptions.
  using Listener = std::function<void(const std::shared_ptr<const TopologyDocument>&)>;
  // Until it is destroyed, which waits for a call under way. The watcher outlives it.
  class Subscription {
   public:
    Subscription(TopologyWatcher& watcher, std::uint64_t number) : watcher_(watcher), number_(number) {}
    Subscription(const Subscription&) = delete;
    ~Subscription() { watcher_.Unsubscribe(number_); }

   private:
    TopologyWatcher& watcher_;
    const std::uint64_t number_;
  };
  static constexpr std::size_t kListenersMax = 64;

  explicit TopologyWatcher(Dependencies dependencies);
  ~TopologyWatcher();  // Stop must have been called
  TopologyWatcher(const TopologyWatcher&) = delete;
  TopologyWatcher& operator=(const TopologyWatcher&) = delete;

  // Reads once, on this thread, and fails with that read; then goes on by itself.
  Result<void> Start();
  // Ends the thread, after a read under way. The document stays; a timed lease runs out.
  void Stop();

  // What becomes of each read: one that was sent at `sent` has answered `document`. STALE: that has gone back. Not
  // while a thread runs: for whoever reads in a time of its own, as a simulation does, instead of Start.
  Result<void> Take(const std::shared_ptr<const TopologyDocument>& document, Instant sent);

  // Thread-safe, from Start on.
  std::shared_ptr<const TopologyDocument> snapshot() const;
  // Of the snapshot, without a lock: for whoever keeps a copy and wants to know whether it is the newest.
  std::int64_t revision() const { return revision_.load(std::memory_order_acquire); }
  // When the read was sent that last said that the snapshot is the newest document.
  Instant confirmed_at() const { return confirmed_at_.load(std::memory_order_acquire); }
  // Reads now, and waits until the snapshot has `revision` or a later one. STALE: not by the deadline. Not on the
  // watcher's thread.
  Result<void> Await(std::int64_t revision, Deadline deadline);
  // How old that is: under a second where leases are renewed, under `reread` elsewhere; grows while FROZEN.
  Duration AgeOfConfirmation() const { return dependencies_.clock->Monotonic() - confirmed_at(); }
  // Of reads since the start.
  std::uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }
  // Why it is FROZEN, and since when.
  Result<void> Health() const;

  [[nodiscard]] std::unique_ptr<Subscription> Subscribe(Listener listener);

 private:
  static constexpr Duration kRetryAfter = std::chrono::milliseconds(250);

  void Run();
  Result<void> Look();
  // How long to wait after the last look.
  Duration Pause() const;
  void Note(const Result<void>& looked);
  void Unsubscribe(std::uint64_t number);

  Dependencies dependencies_;
  std::atomic<std::int64_t> revision_{0};
  std::atomic<Instant> confirmed_at_{Instant{}};
  std::atomic<std::uint64_t> failures_{0};

  mutable std::mutex mutex_;
  std::condition_variable looked_;
  std::shared_ptr<const TopologyDocument> snapshot_;  // guarded by mutex_
  Result<void> health_;                               // guarded by mutex_

  std::mutex listeners_mutex_;  // held while listeners run
  std::vector<std::pair<std::uint64_t, Listener>> listeners_;
  std::uint64_t next_number_ = 1;

  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace muster
