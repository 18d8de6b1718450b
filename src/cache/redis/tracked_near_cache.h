#pragma once

#include <cstddef>
#include <memory>

#include "cache/redis/center.h"
#include "domain/ports/tracked_cache.h"

namespace muster {

// A near cache of one loop over a center's Redis, told of changes by CLIENT TRACKING: a connection of its own
// subscribes to what becomes of all members' entries (BCAST, redirected to itself, so that nothing is told once it is
// lost).
//
//            subscribed                        an answer to PING, each `kPingInterval`
//   OFF ──────────────────► ON, from empty ◄──────────────────────────────────────────┐
//    ▲                        │    └──────────────────────────────────────────────────┘
//    └────────────────────────┘ lost; or no PING of the last `kUnsureAfter` was answered; or the state is not ON
//
// PINGs are answered in the stream in which changes are told, so an answer says that it flows (Redis tells of changes
// at the end of its turn, so not that all of them have arrived). FLUSHALL, and another epoch, empty it. A Cluster would
// need a connection to each node; there it stays OFF.
class TrackedNearCache : public TrackedCache {
 public:
  static constexpr Duration kPingInterval = std::chrono::milliseconds(100);
  static constexpr Duration kUnsureAfter = std::chrono::milliseconds(400);

  virtual bool IsOn() const = 0;
};

// `bytes_max` bounds the documents of this loop; the oldest go first. As MakeRedisCenter.
Result<std::unique_ptr<TrackedNearCache>> MakeTrackedNearCache(const RedisOptions& options,
                                                               const RedisDependencies& dependencies,
                                                               std::size_t bytes_max);

}  // namespace muster
