#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "domain/ports/center_cache.h"
#include "topology/topology_watcher.h"

namespace muster {

// What the topology says of the centers' caches, at hand for every read and write of this process: the
// CacheStateSources. A state may be believed until the topology's lease has passed since the last read that confirmed
// it was sent, as a right to write may. A cache that the topology does not name is bypassed.
class CacheStates {
 public:
  // Watcher and clock outlive it.
  CacheStates(TopologyWatcher& watcher, const Clock& clock, const std::vector<std::string>& centers);
  CacheStates(const CacheStates&) = delete;

  // Of one of the centers; not to be asked when this is gone.
  CacheStateSource Of(const std::string& center) const;
  // From when on no process reads `center` by an epoch below `epoch`, whatever it hears: a lease after this process saw
  // it. Instant::max: this process has not seen it.
  Instant ForgottenBelow(const std::string& center, Epoch epoch) const;

 private:
  struct Center {
    std::string name;
    std::atomic<std::int64_t> packed{0};  // epoch and mode
    // Guarded by mutex_.
    Epoch epoch{0};
    Instant first_seen{};  // nobody has read it before the topology names it
    Duration lease{0};
  };

  void Take(const TopologyDocument& document);
  Center& Find(const std::string& center) const;

  TopologyWatcher& watcher_;
  const Clock& clock_;
  std::vector<std::unique_ptr<Center>> centers_;
  std::atomic<std::int64_t> lease_ms_{0};
  mutable std::mutex mutex_;
  std::int64_t revision_ = 0;                                    // guarded by mutex_
  std::unique_ptr<TopologyWatcher::Subscription> subscription_;  // the last: it calls Take
};

}  // namespace muster
