#pragma once

#include <memory>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "domain/id_allocator.h"
#include "domain/identity_catalog.h"
#include "domain/ports/member_writer.h"
#include "domain/ports/shard_store.h"

namespace muster {

struct BindingDependencies {
  ShardStore* shards = nullptr;
  const IdentityCatalog* catalog = nullptr;
  IdAllocator* ids = nullptr;
  const Clock* clock = nullptr;
};

// How long an operation may take from its beginning to its commit, by the clock of its home shard; an older one gives up.
inline constexpr Duration kOperationAgeMax = std::chrono::seconds(30);
// When the outcome of an operation may be forgotten.
inline constexpr Duration kOperationRetention = std::chrono::hours(1);

// The writes of the directory over sharded transactions: "one identity, one member" across shards and crashes.
std::unique_ptr<MemberWriter> MakeBindingWriter(const BindingDependencies& dependencies);

// One step of the sweeper: looks at up to `limit` lookup rows of one database and frees those whose owner does not list
// them. Answers where to go on (all zero: the end was reached).
struct SweepProgress {
  IdentityKey next;
  std::uint64_t examined = 0;
  std::uint64_t freed = 0;
};
Task<Result<SweepProgress>> SweepLookups(ShardStore& shards, const Clock& clock, std::uint32_t database, IdentityKey after,
                                         std::size_t limit);

}  // namespace muster
