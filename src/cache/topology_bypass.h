#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "cache/cache_states.h"
#include "cache/center_invalidator.h"
#include "topology/topology.h"
#include "topology/topology_watcher.h"

namespace muster {

// Takes caches out of use in the topology: a thread, since whoever changes the topology waits for its store. (Without
// Start there is none: a simulation calls Step in its own time.)
//
// Readers are not asked whether they have heard of it: each believes what it knows for a lease at most (CacheStates),
// so that one lease after this process has seen a change nobody goes by what was before. What is waited for is time
// alone, and no reader can hold it up.
class TopologyBypass final : public BypassSource {
 public:
  struct Dependencies {
    TopologyStore* store = nullptr;
    TopologyWatcher* watcher = nullptr;
    const CacheStates* states = nullptr;
    const Clock* clock = nullptr;
    Timer* timer = nullptr;
    Logger* logger = nullptr;
  };
  // More that wait are refused: whoever bypasses asks once for each center (CenterInvalidator).
  static constexpr std::size_t kWaitingMax = 256;

  explicit TopologyBypass(const Dependencies& dependencies) : dependencies_(dependencies) {}
  ~TopologyBypass() override;  // what waits is refused; the timer has to have run what it was given

  void Start();
  // Stores, and replies to, what waits now; what the thread does again and again.
  void Step();

  void Bypass(const std::string& center, Epoch failed, Deadline deadline, Reply reply) override;
  void AwaitReaders(const std::string& center, Epoch epoch, Deadline deadline, Reply reply) override;

 private:
  struct Wanted {
    std::string center;
    Epoch failed;
    Deadline deadline;
    Reply reply;
  };

  void Run();
  Result<void> Store(const Wanted& wanted);

  const Dependencies dependencies_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Wanted> waiting_;  // guarded by mutex_
  bool stopping_ = false;        // guarded by mutex_
  std::thread thread_;
};

}  // namespace muster
