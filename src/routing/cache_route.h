#pragma once

#include <memory>
#include <string>

#include "domain/ports/member_cache.h"
#include "domain/ports/member_reader.h"
#include "routing/route_counter.h"

namespace muster {

// Answers from a cache, else from its child, whose answer it offers to the cache.
//
//   Get       the member's entry. One below `min_version` counts as a miss, and so does "does not exist" when a version
//   is
//             asked for.
//   Resolve   whoever the cache knows to hold the identity, under the same rule.
//   no_cache  asks the child at once; its answer fills all the same.
//   errors    of the child pass unchanged and fill nothing.
//
// A hit answers during the call, with Source::kNear and age 0, and allocates nothing; a miss allocates once. `as_of` of
// a hit is zero: the cache does not say when it was filled, so a cache above takes the answer only for what no commit
// has touched yet.
class CacheRoute final : public MemberReader {
 public:
  // `name` is the cache's word in the route expression. `cache` must outlive the route.
  CacheRoute(std::string name, MemberCache& cache, std::unique_ptr<MemberReader> child);

  void Get(MemberId id, const ReadOptions& options, MemberReply reply) override;
  void Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) override;
  RouteDescription Describe() const override;

 private:
  bool AnswerFrom(std::optional<MemberDocumentRef> found, const ReadOptions& options, MemberReply& reply);

  const std::string name_;
  MemberCache& cache_;
  const std::unique_ptr<MemberReader> child_;
  RouteCounter hits_, misses_, too_old_, skipped_;
};

}  // namespace muster
