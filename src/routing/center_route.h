#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/clock.h"
#include "domain/ports/center_cache.h"
#include "domain/ports/member_reader.h"
#include "routing/route_counter.h"

namespace muster {

// Answers from the cache of its center, else from its child, whose answer it offers to the cache.
//
//   Get       the member's entry. On a miss the child is asked for at least the floor; an answer below it, or that
//   there
//             is no such member where the cache knows of one, is a lagging replica's: the primary is asked.
//   Resolve   the holder that the cache names, if that member's own entry lists the identity; that nobody holds it, as
//             the cache knows that. On a miss the child is asked, the primary if the identity has changed lately; the
//             member that it names is believed if the cache has no higher floor of it.
//   unusable  (bypassed, out of reach, lost) the primary is asked, and nothing filled.
//   no_cache  asks the child at once, and fills nothing: whoever has no lease may not.
//   errors    of the child pass unchanged.
//
// "The primary is asked" is a call of the child with `no_cache`. One read makes three calls of its child at most.
class CenterRoute final : public MemberReader {
 public:
  // As old as a source's answer may be when the floor is looked up after it; the cache's floors live longer than that
  // and the lag of a replica together (RedisOptions::source_time_max_s).
  static constexpr Duration kSourceTimeMax = std::chrono::seconds(10);

  // `name` is the cache's word in the route expression. `cache` and `clock` outlive the route.
  CenterRoute(std::string name, CenterCache& cache, const Clock& clock, std::unique_ptr<MemberReader> child);

  void Get(MemberId id, const ReadOptions& options, MemberReply reply) override;
  void Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) override;
  RouteDescription Describe() const override;

 private:
  void AnswerMember(MemberId id, const ReadOptions& options, MemberLookup found, MemberReply reply);
  void ReadThrough(MemberId id, const ReadOptions& options, const MemberLookup& miss, MemberReply reply);
  void AskPrimary(MemberId id, const ReadOptions& options, MemberReply reply);
  void ResolveAtPrimary(const IdentityKey& key, const ReadOptions& options, MemberReply reply);
  void ConfirmHint(const IdentityKey& key, MemberId holder, const ReadOptions& options, MemberReply reply);
  void ResolveThrough(const IdentityKey& key, const ReadOptions& options, const HolderLookup& miss, MemberReply reply);
  void ConfirmSource(const IdentityKey& key, const ReadOptions& options, MemberAnswer answer, FillToken token,
                     Instant asked, MemberReply reply);
  bool IsOldEnough(const MemberDocumentRef& member, const ReadOptions& options);

  const std::string name_;
  CenterCache& cache_;
  const Clock& clock_;
  const std::unique_ptr<MemberReader> child_;
  RouteCounter hits_, misses_, unusable_, too_old_, below_floor_, wrong_hints_, skipped_;
};

}  // namespace muster
