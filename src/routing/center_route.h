#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/timer.h"
#include "domain/ports/center_cache.h"
#include "domain/ports/member_reader.h"
#include "routing/route_counter.h"

namespace muster {

// How the reads of a loop wait: by `timer`, and go on on `loop`. Without them nobody waits.
struct RoutePauses {
  EventLoop* loop = nullptr;
  Timer* timer = nullptr;
};

// Answers from the cache of its center, else from its child, the store, whose answer it offers to the cache.
//
//   Get       the member's entry. On a miss the child is asked for at least the floor.
//   Resolve   the holder that the cache names, if that member's own entry lists the identity; that nobody holds it, as
//             the cache knows that. On a miss the child is asked, the primary if the identity has changed lately. Whom
//             a copy names is believed if the cache has no higher floor of that member; that nobody holds it, if the
//             identity has not changed lately. Else the primary is asked.
//   unusable  (bypassed, out of reach, lost) the primary is asked, and nothing filled. When it is out of reach a copy
//             answers, and says how old that may be.
//   no_cache  asks the child at once, and fills nothing: whoever has no lease may not.
//   errors    of the child pass unchanged.
//
// "The primary is asked" is a call of the child with `prefer_primary`. When only copies can be asked, and what they say
// is below a floor, or in doubt as said above, they are asked again after pauses: one that acknowledged a write has it,
// and is about to apply it. When the deadline or kWaitMax is over before it has: STALE.
//
// Nothing is filled from an answer that may be taken back (MemberAnswer::may_be_kept), or that is older than the lag
// for which the cache's floors allow.
class CenterRoute final : public MemberReader {
 public:
  // As old as a source's answer may be when the floor is looked up after it; the cache's floors live longer than that
  // and the lag of a replica together (RedisOptions::source_time_max_s).
  static constexpr Duration kSourceTimeMax = std::chrono::seconds(10);
  // The lag of a replica in that (RedisOptions::replica_lag_max_s).
  static constexpr Duration kLagMax = std::chrono::seconds(30);
  static constexpr Duration kPause = std::chrono::milliseconds(5);  // doubled each time, up to
  static constexpr Duration kPauseMax = std::chrono::milliseconds(40);
  static constexpr Duration kWaitMax = std::chrono::seconds(3);
  static constexpr std::size_t kWaitingMax = 4096;

  // `name` is the cache's word in the route expression. Everything outlives the route.
  CenterRoute(std::string name, CenterCache& cache, const Clock& clock, std::unique_ptr<MemberReader> child,
              RoutePauses pauses = RoutePauses());

  void Get(MemberId id, const ReadOptions& options, MemberReply reply) override;
  void Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) override;
  RouteDescription Describe() const override;

 private:
  // A read of the child, and those of the same caller before it.
  struct Asking {
    FillToken token = {};
    Version floor{0};       // Get
    bool in_doubt = false;  // Resolve: a copy's word that nobody holds it says nothing
    Instant since{};        // the first of them was sent
    Instant sent{};
    int attempt = 0;
  };
  Asking Begin(FillToken token) const;

  void AnswerMember(MemberId id, const ReadOptions& options, MemberLookup found, MemberReply reply);
  void AskStore(MemberId id, const ReadOptions& options, const Asking& asking, MemberReply reply);
  void ConfirmHint(const IdentityKey& key, MemberId holder, const ReadOptions& options, MemberReply reply);
  void ResolveInStore(const IdentityKey& key, const ReadOptions& options, Asking asking, MemberReply reply);
  void ConfirmSource(const IdentityKey& key, const ReadOptions& options, MemberAnswer answer, const Asking& asking,
                     MemberReply reply);
  // Asks the child once more: at once if that was not the primary's turn yet, else after a pause.
  void AskAgain(const ReadOptions& options, Asking asking, MemberReply reply,
                std::move_only_function<void(const Asking&, MemberReply)> ask);
  void Fill(MemberId id, const MemberAnswer& answer, FillToken token);
  void FillHolder(const IdentityKey& key, const MemberAnswer& answer, FillToken token);
  bool IsOldEnough(const MemberDocumentRef& member, const ReadOptions& options);

  const std::string name_;
  CenterCache& cache_;
  const Clock& clock_;
  const std::unique_ptr<MemberReader> child_;
  const RoutePauses pauses_;
  std::size_t waiting_ = 0;
  RouteCounter hits_, misses_, unusable_, too_old_, below_floor_, wrong_hints_, skipped_, waits_;
};

}  // namespace muster
