#pragma once

#include <cstdint>
#include <memory>

#include "base/metrics.h"
#include "base/options.h"
#include "domain/commit_floor.h"
#include "domain/ports/member_cache.h"

namespace muster {

inline constexpr std::int64_t kNearCacheBytesMin = std::int64_t{1} << 20;

struct NearCacheOptions {
  bool enabled = true;
  std::int64_t bytes =
      std::int64_t{256} << 20;        // all it takes from the allocator: documents, entries, tables, negative entries
  std::int64_t negative_percent = 5;  // of `bytes`, at most, for "nobody holds it"

  void Declare(OptionRegistry& options);  // cache.near.*
};

// The cache of this process, exact as long as this process is the store's only writer: `floor` orders fills and
// commits. Disabled, it knows nothing. Never waits for longer than another thread's fill takes. `floor` must outlive
// it.
std::unique_ptr<MemberCache> MakeNearCache(const NearCacheOptions& options, const CommitFloor& floor);

// Registers muster_cache_* metrics; `cache` must outlive the last exposition.
void ExposeCacheMetrics(const MemberCache& cache, MetricRegistry& metrics);

}  // namespace muster
