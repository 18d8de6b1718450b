#pragma once

#include <cstdint>
#include <functional>

#include "base/clock.h"
#include "base/result.h"
#include "cache/redis/keys.h"
#include "cache/redis/marker_keeper.h"
#include "cache/redis/nodes.h"
#include "domain/ports/center_cache.h"

namespace muster::redis {

// The writer's side of a center's cache: invalidations, one script for each logical shard that was touched, and the
// beginning of epochs.
class CenterWriter {
 public:
  struct Counts {
    std::uint64_t done = 0, failed = 0;
  };

  CenterWriter(Nodes& nodes, const Keys& keys, MarkerKeeper& markers, std::int64_t floor_life_s)
      : nodes_(nodes), keys_(keys), markers_(markers), floor_life_s_(floor_life_s) {}
  CenterWriter(const CenterWriter&) = delete;

  void Invalidate(const CacheState& state, const TouchedEntries& touched, Deadline deadline,
                  std::move_only_function<void(Invalidation)> reply);
  void BeginEpoch(Epoch epoch, Deadline deadline, std::move_only_function<void(Result<bool>)> reply);

  const Counts& counts() const { return counts_; }

 private:
  void Send(const TouchedEntries& touched, const MarkerRef& marker, Deadline deadline,
            std::move_only_function<void(Invalidation)> reply);
  InvalidationKind Judge(const Outcome& outcome, const MarkerRef& marker);

  Nodes& nodes_;
  const Keys& keys_;
  MarkerKeeper& markers_;
  const std::int64_t floor_life_s_;
  Counts counts_;
};

}  // namespace muster::redis
