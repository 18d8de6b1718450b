#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "api/asio_event_loop.h"
#include "app/server/center_options.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/result.h"
#include "base/timer.h"
#include "cache/cache_keeper.h"
#include "cache/cache_states.h"
#include "cache/center_invalidator.h"
#include "cache/redis/center.h"
#include "cache/redis/tracked_near_cache.h"
#include "cache/topology_bypass.h"
#include "domain/keyring.h"
#include "topology/topology_watcher.h"

namespace muster {

// The Redis of every center, as one server has it: connections of a loop of its own, over which all centers are told of
// what this server writes; what takes them out of use and brings them back; and connections of each loop that reads.
class CenterCaches {
 public:
  struct Surroundings {
    TopologyStore& topology;
    TopologyWatcher& watcher;
    const Keyring& keyring;
    const Clock& clock;
    Random& random;
    Logger& logger;
    MetricRegistry& metrics;
  };
  // Which Redis cannot be reached is said later, by the log and by what bypasses it: a server starts without.
  static Result<std::unique_ptr<CenterCaches>> Start(const CenterOptions& options, const Surroundings& around);
  ~CenterCaches();  // nobody writes or reads any more

  CommitListener& listener() { return *invalidator_; }

  // Whether and with which version the cache of a center would answer reads of a member now. Blocks; OVERLOADED when it
  // is not in use or does not answer.
  Result<std::optional<Version>> Peek(const std::string& center, MemberId id, Deadline deadline);

  // What one reading loop has of the center's Redis; on its thread or before it runs, the same for their end.
  struct Readers {
    std::unique_ptr<RedisCenterCache> center;
    std::unique_ptr<TrackedNearCache> tracked;
  };
  Result<Readers> MakeReaders(SocketLoop& loop, std::size_t loops);

 private:
  CenterCaches(const CenterOptions& options, const Surroundings& around);
  Result<void> Connect();
  RedisDependencies DependenciesOf(const std::string& center, SocketLoop& loop) const;
  CacheKeeper::Center KeptCenter(const std::string& name, RedisCenterCache& cache);

  const CenterOptions options_;
  const Surroundings around_;
  CacheStates states_;
  std::unique_ptr<ThreadTimer> timer_ = std::make_unique<ThreadTimer>();
  std::unique_ptr<TopologyBypass> bypass_;
  std::unique_ptr<AsioEventLoop> loop_;
  std::vector<std::unique_ptr<RedisCenterCache>> caches_;  // of loop_, in the order of the options
  std::unique_ptr<CenterInvalidator> invalidator_;
  std::unique_ptr<CacheKeeper> keeper_;
  std::thread thread_;  // runs loop_
};

}  // namespace muster
