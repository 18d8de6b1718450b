#pragma once

#include <cstdint>
#include <memory>

#include "base/metrics.h"
#include "base/options.h"
#include "domain/ports/member_cache.h"

namespace muster {

struct NearCacheOptions {
  bool enabled = true;
  std::int64_t bytes = std::int64_t{256} << 20;  // all it takes from the allocator: documents, entries, tables, negative entries
  std::int64_t negative_percent = 5;             // of `bytes`, at most, for "nobody holds it"

  void Declare(OptionRegistry& options);  // cache.near.*
};

// The cache of this process, exact as long as this process is the store's only writer: `floor` orders fills and commits.
std::unique_ptr<MemberCache> MakeNearCache(const NearCacheOptions& options, const CommitFloor& floor);

}  // namespace muster
