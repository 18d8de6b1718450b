#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "cache/center_invalidator.h"
#include "topology/topology.h"
#include "topology/topology_watcher.h"

namespace muster {

// Brings the caches of all centers into use, and back into it after a bypass, and takes them out of use when they do
// not answer. Every process of the center that writes does that, so that one lost process is not missed; each step is a
// change of the topology that only one of them makes.
//
//   (none) ──┐
//            ├──► reached for `settle` ──► an epoch is begun on its servers ──► WARMING, told of writes and not read
//   BYPASS ──┘                                                                     │
//     ▲                                                                            │ until every writer knows of it,
//     │ its servers have lost what they had, or have not answered for               │ and no replica that is read can
//     lack │ `reach_timeout` (asked each `probe_period`)                                 │ what was committed before
//     └───────────────────────────────────────── ON ◄──────────────────────────────┘
//
// A write would find out as well, but only once it is committed: where a lost center takes ackers and a cache away, the
// time until nobody believes the cache would begin after the time until commits wait for nobody.
class CacheKeeper {
 public:
  // What it does to a center's servers. Blocking; called on its thread.
  struct Center {
    std::string name;
    std::function<bool(Deadline)> is_reachable;
    std::function<Result<bool>(Epoch, Deadline)> begin_epoch;  // RedisCenterCache::BeginEpoch
    std::function<InvalidationKind(Deadline)> probe;           // an invalidation of nothing that matters
  };
  struct Options {
    std::string center;  // ours
    Duration look_period = std::chrono::milliseconds(100);
    Duration settle = std::chrono::seconds(5);  // without a failure, after a bypass
    Duration probe_period = std::chrono::milliseconds(250);
    Duration probe_timeout = std::chrono::milliseconds(250);
    Duration reach_timeout = std::chrono::milliseconds(500);  // as that of CenterInvalidator
    Duration replica_lag_max = std::chrono::seconds(5);       // beyond which no replica is a source for a cache
    Duration request_timeout = std::chrono::seconds(1);
  };
  struct Dependencies {
    TopologyStore* store = nullptr;
    TopologyWatcher* watcher = nullptr;
    BypassSource* bypass = nullptr;
    const Clock* clock = nullptr;
    Logger* logger = nullptr;
  };

  CacheKeeper(std::vector<Center> centers, Options options, const Dependencies& dependencies);
  ~CacheKeeper();  // Stop must have been called
  CacheKeeper(const CacheKeeper&) = delete;

  void Start();
  // Ends the thread, after a step under way.
  void Stop();

  // One look at all centers; what the thread does again and again.
  void Step();

 private:
  struct Memory {
    std::optional<Instant> reached_since;
    Epoch epoch{0};    // that was seen last
    Epoch warming{0};  // of which `warm_since` tells
    Instant warm_since{};
    std::optional<Instant> probed_at;
    bool has_answered = false;
    std::optional<Instant> silent_since;  // it has answered before, and no more
    // A bypass was asked for, and has not been replied to; one at a time.
    std::shared_ptr<std::atomic<bool>> is_bypassing = std::make_shared<std::atomic<bool>>(false);
  };

  void Look(const Center& center, const TopologyDocument& document, Memory& memory);
  void Warm(const Center& center, const CacheRecord* record);
  void GoOn(const Center& center, const CacheRecord& record, const TopologyDocument& document, Memory& memory);
  // Of one in use, when it is time to ask it. False: it did not answer.
  bool Probe(const Center& center, const CacheRecord& record, Memory& memory);
  void NoteSilence(const Center& center, const CacheRecord* record, Instant since, Memory& memory);
  void Bypass(const Center& center, const CacheRecord& record, const Memory& memory);
  void Store(const std::string& center, const CacheRecord* before, CacheRecord next);
  Deadline RequestDeadline() const;

  const std::vector<Center> centers_;
  const Options options_;
  const Dependencies dependencies_;
  std::map<std::string, Memory> memory_;

  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace muster
