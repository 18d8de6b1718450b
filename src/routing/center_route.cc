#include "routing/center_route.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace muster {
namespace {

Version VersionOf(const MemberDocumentRef& member) { return member ? member->version() : Version(0); }

// It says what is true now, of whatever it says anything.
bool IsExact(const MemberAnswer& answer) { return answer.source == Source::kPrimary; }

std::unexpected<Error> NobodyIsNewEnough() {
  Error error{Reason::kStale,
              "this has changed lately, and no server that can be reached knows yet to what; try again in a moment"};
  error.retry_after_ms = 500;
  return std::unexpected(std::move(error));
}

MemberAnswer FromCenter(MemberDocumentRef member) {
  return {.member = std::move(member), .source = Source::kRedis, .age = Duration(0), .as_of = CommitSequence(0)};
}

}  // namespace

CenterRoute::CenterRoute(std::string name, CenterCache& cache, const Clock& clock, std::unique_ptr<MemberReader> child,
                         RoutePauses pauses)
    : name_(std::move(name)), cache_(cache), clock_(clock), child_(std::move(child)), pauses_(pauses) {}

CenterRoute::Asking CenterRoute::Begin(FillToken token) const {
  const Instant now = clock_.Monotonic();
  return {.token = token, .floor = Version(0), .in_doubt = false, .since = now, .sent = now};
}

// "Does not exist" is too old when a version is asked for, too.
bool CenterRoute::IsOldEnough(const MemberDocumentRef& member, const ReadOptions& options) {
  if ((member ? member->version() : Version(0)) >= options.min_version) return true;
  too_old_.Add();
  return false;
}

void CenterRoute::Get(MemberId id, const ReadOptions& options, MemberReply reply) {
  if (options.no_cache) {
    skipped_.Add();
    return child_->Get(id, options, std::move(reply));
  }
  cache_.Get(id, options.deadline, [this, id, options, reply = std::move(reply)](MemberLookup found) mutable {
    AnswerMember(id, options, std::move(found), std::move(reply));
  });
}

void CenterRoute::AnswerMember(MemberId id, const ReadOptions& options, MemberLookup found, MemberReply reply) {
  switch (found.kind) {
    case LookupKind::kHit:
      if (!IsOldEnough(found.member, options)) return child_->Get(id, options, std::move(reply));
      hits_.Add();
      return reply(FromCenter(std::move(found.member)));
    case LookupKind::kMiss:
      break;
    case LookupKind::kUnusable:
      unusable_.Add();
      ReadOptions asked = options;
      asked.prefer_primary = true;
      return child_->Get(id, asked, std::move(reply));
  }
  misses_.Add();
  Asking asking = Begin(found.token);
  asking.floor = found.floor;
  AskStore(id, options, asking, std::move(reply));
}

void CenterRoute::AskStore(MemberId id, const ReadOptions& options, const Asking& asking, MemberReply reply) {
  ReadOptions asked = options;
  asked.floor = asking.floor;
  asked.prefer_primary = asking.attempt > 0;
  child_->Get(id, asked, [this, id, options, asking, reply = std::move(reply)](Result<MemberAnswer> answer) mutable {
    // The caller has not asked for the floor, so that nobody has it is not his to hear.
    const bool is_below = answer ? !IsExact(*answer) && VersionOf(answer->member) < asking.floor
                                 : answer.error().reason == Reason::kStale && options.min_version < asking.floor;
    if (is_below) {
      below_floor_.Add();
      return AskAgain(options, asking, std::move(reply), [this, id, options](const Asking& again, MemberReply to) {
        AskStore(id, options, again, std::move(to));
      });
    }
    if (answer) Fill(id, *answer, asking.token);
    reply(std::move(answer));
  });
}

void CenterRoute::AskAgain(const ReadOptions& options, Asking asking, MemberReply reply,
                           std::move_only_function<void(const Asking&, MemberReply)> ask) {
  const Instant now = clock_.Monotonic();
  asking.sent = now;
  if (asking.attempt++ == 0) return ask(asking, std::move(reply));
  const Instant until = std::min(options.deadline.at(), asking.since + kWaitMax);
  const Duration pause = std::min(kPauseMax, kPause * (1 << std::min(asking.attempt - 2, 10)));
  const bool can_wait = pauses_.loop != nullptr && pauses_.timer != nullptr && waiting_ < kWaitingMax;
  if (!can_wait || now + pause >= until) return reply(NobodyIsNewEnough());
  waits_.Add();
  ++waiting_;
  pauses_.timer->After(pause, [this, asking, reply = std::move(reply), ask = std::move(ask)]() mutable {
    pauses_.loop->Post([this, asking, reply = std::move(reply), ask = std::move(ask)]() mutable {
      --waiting_;
      asking.sent = clock_.Monotonic();
      ask(asking, std::move(reply));
    });
  });
}

void CenterRoute::Fill(MemberId id, const MemberAnswer& answer, FillToken token) {
  if (token == FillToken(0) || !answer.may_be_kept || answer.age > kLagMax) return;
  cache_.Fill(id, answer.member, token);
}

void CenterRoute::FillHolder(const IdentityKey& key, const MemberAnswer& answer, FillToken token) {
  if (token == FillToken(0) || !answer.may_be_kept || answer.age > kLagMax) return;
  cache_.FillHolder(key, answer.member ? std::optional(answer.member->id()) : std::nullopt, IsExact(answer), token);
}

void CenterRoute::Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) {
  if (options.no_cache) {
    skipped_.Add();
    return child_->Resolve(key, options, std::move(reply));
  }
  cache_.FindHolder(key, options.deadline,
                    [this, key, options, reply = std::move(reply)](const HolderLookup& found) mutable {
                      if (found.kind == LookupKind::kUnusable) {
                        unusable_.Add();
                        ReadOptions asked = options;
                        asked.prefer_primary = true;
                        return child_->Resolve(key, asked, std::move(reply));
                      }
                      if (found.kind == LookupKind::kMiss) {
                        misses_.Add();
                        Asking asking = Begin(found.token);
                        asking.in_doubt = found.has_changed_lately;
                        return ResolveInStore(key, options, asking, std::move(reply));
                      }
                      if (found.holder) return ConfirmHint(key, *found.holder, options, std::move(reply));
                      if (!IsOldEnough({}, options)) return child_->Resolve(key, options, std::move(reply));
                      hits_.Add();
                      reply(FromCenter({}));
                    });
}

// The member's own entry is never stale: whoever is listed there holds the identity.
void CenterRoute::ConfirmHint(const IdentityKey& key, MemberId holder, const ReadOptions& options, MemberReply reply) {
  MemberReply confirm = [this, key, options, reply = std::move(reply)](Result<MemberAnswer> answer) mutable {
    if (answer && (!answer->member || !answer->member->Holds(key))) {
      wrong_hints_.Add();
      Asking asking = Begin(FillToken(0));
      asking.in_doubt = true;
      return ResolveInStore(key, options, asking, std::move(reply));
    }
    reply(std::move(answer));
  };
  Get(holder, options, std::move(confirm));
}

void CenterRoute::ResolveInStore(const IdentityKey& key, const ReadOptions& options, Asking asking, MemberReply reply) {
  asking.in_doubt = asking.in_doubt || asking.attempt > 0;
  // The first time that it is in doubt is the primary's turn already.
  if (asking.in_doubt) asking.attempt = std::max(asking.attempt, 1);
  ReadOptions asked = options;
  asked.prefer_primary = asking.in_doubt;
  child_->Resolve(
      key, asked, [this, key, options, asking, reply = std::move(reply)](Result<MemberAnswer> answer) mutable {
        if (!answer) return reply(std::move(answer));
        if (answer->member && !IsExact(*answer)) {
          return ConfirmSource(key, options, *std::move(answer), asking, std::move(reply));
        }
        if (!IsExact(*answer) && asking.in_doubt) {
          return AskAgain(options, asking, std::move(reply), [this, key, options](const Asking& again, MemberReply to) {
            ResolveInStore(key, options, again, std::move(to));
          });
        }
        FillHolder(key, *answer, asking.token);
        reply(std::move(answer));
      });
}

// The source is a copy, and the member that it names may have lost the identity since: its version against the member's
// floor tells.
void CenterRoute::ConfirmSource(const IdentityKey& key, const ReadOptions& options, MemberAnswer answer,
                                const Asking& asking, MemberReply reply) {
  const MemberId id = answer.member->id();
  cache_.Get(id, options.deadline,
             [this, key, options, asking, id, answer = std::move(answer),
              reply = std::move(reply)](MemberLookup found) mutable {
               const bool is_in_time = clock_.Monotonic() - asking.sent <= kSourceTimeMax;
               if (found.kind == LookupKind::kHit && found.member && found.member->Holds(key) &&
                   IsOldEnough(found.member, options)) {
                 if (asking.token != FillToken(0)) cache_.FillHolder(key, id, false, asking.token);
                 return reply(FromCenter(std::move(found.member)));
               }
               if (found.kind == LookupKind::kUnusable) {
                 unusable_.Add();
                 ReadOptions asked = options;
                 asked.prefer_primary = true;
                 return child_->Resolve(key, asked, std::move(reply));
               }
               if (found.kind != LookupKind::kMiss || !is_in_time || answer.member->version() < found.floor) {
                 below_floor_.Add();
                 return AskAgain(options, asking, std::move(reply),
                                 [this, key, options](const Asking& again, MemberReply to) {
                                   ResolveInStore(key, options, again, std::move(to));
                                 });
               }
               Fill(id, answer, found.token);
               FillHolder(key, answer, asking.token);
               reply(std::move(answer));
             });
}

RouteDescription CenterRoute::Describe() const {
  return {.name = "cache(" + name_ + ")",
          .policy = "answers from the center's cache " + name_ + ", else asks below and fills under a lease",
          .counters = {{"hits", hits_.Value()},
                       {"misses", misses_.Value()},
                       {"unusable", unusable_.Value()},
                       {"too_old", too_old_.Value()},
                       {"below_floor", below_floor_.Value()},
                       {"wrong_hints", wrong_hints_.Value()},
                       {"waits", waits_.Value()},
                       {"skipped", skipped_.Value()}},
          .children = {child_->Describe()}};
}

}  // namespace muster
