#pragma once

#include <memory>
#include <string>

#include "domain/ports/member_reader.h"
#include "domain/ports/tracked_cache.h"
#include "routing/route_counter.h"

namespace muster {

// Answers gets from a near cache that hears of changes a little late, else from its child, the center's cache.
//
//   Get       an entry, with its age, at most TrackedCache::kAgeMax. One below `min_version` counts as a miss. What the
//             center's cache itself had is kept.
//   Resolve   asks the child: an entry that may be old says nothing of who holds an identity now.
//   no_cache  asks the child.
class TrackedRoute final : public MemberReader {
 public:
  // `name` is the cache's word in the route expression. `cache` outlives the route.
  TrackedRoute(std::string name, TrackedCache& cache, std::unique_ptr<MemberReader> child);

  void Get(MemberId id, const ReadOptions& options, MemberReply reply) override;
  void Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) override;
  RouteDescription Describe() const override;

 private:
  const std::string name_;
  TrackedCache& cache_;
  const std::unique_ptr<MemberReader> child_;
  RouteCounter hits_, misses_, too_old_, skipped_;
};

}  // namespace muster
