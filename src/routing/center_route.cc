#include "routing/center_route.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace muster {
namespace {

ReadOptions OfPrimary(ReadOptions options) {
  options.no_cache = true;
  return options;
}

MemberAnswer FromCenter(MemberDocumentRef member) {
  return {.member = std::move(member), .source = Source::kRedis, .age = Duration(0), .as_of = CommitSequence(0)};
}

}  // namespace

CenterRoute::CenterRoute(std::string name, CenterCache& cache, const Clock& clock, std::unique_ptr<MemberReader> child)
    : name_(std::move(name)), cache_(cache), clock_(clock), child_(std::move(child)) {}

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
      misses_.Add();
      return ReadThrough(id, options, found, std::move(reply));
    case LookupKind::kUnusable:
      unusable_.Add();
      return AskPrimary(id, options, std::move(reply));
  }
}

void CenterRoute::AskPrimary(MemberId id, const ReadOptions& options, MemberReply reply) {
  child_->Get(id, OfPrimary(options), std::move(reply));
}

void CenterRoute::ReadThrough(MemberId id, const ReadOptions& options, const MemberLookup& miss, MemberReply reply) {
  const Version floor = miss.floor;
  const auto fill = [this, id, token = miss.token](const Result<MemberAnswer>& answer) {
    if (answer && token != FillToken(0)) cache_.Fill(id, answer->member, token);
  };
  ReadOptions asked = options;
  asked.min_version = std::max(options.min_version, floor);
  child_->Get(id, asked,
              [this, id, options, floor, fill, reply = std::move(reply)](Result<MemberAnswer> answer) mutable {
                // The caller has not asked for the floor, so that nobody has it is not his to hear.
                const bool is_below = answer ? (answer->member ? answer->member->version() : Version(0)) < floor
                                             : answer.error().reason == Reason::kStale && options.min_version < floor;
                if (!is_below) {
                  fill(answer);
                  return reply(std::move(answer));
                }
                below_floor_.Add();
                AskPrimary(id, options, [fill, reply = std::move(reply)](Result<MemberAnswer> exact) mutable {
                  fill(exact);
                  reply(std::move(exact));
                });
              });
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
                        return ResolveAtPrimary(key, options, std::move(reply));
                      }
                      if (found.kind == LookupKind::kMiss) {
                        misses_.Add();
                        return ResolveThrough(key, options, found, std::move(reply));
                      }
                      if (found.holder) return ConfirmHint(key, *found.holder, options, std::move(reply));
                      if (!IsOldEnough({}, options)) return child_->Resolve(key, options, std::move(reply));
                      hits_.Add();
                      reply(FromCenter({}));
                    });
}

void CenterRoute::ResolveAtPrimary(const IdentityKey& key, const ReadOptions& options, MemberReply reply) {
  child_->Resolve(key, OfPrimary(options), std::move(reply));
}

// The member's own entry is never stale: whoever is listed there holds the identity.
void CenterRoute::ConfirmHint(const IdentityKey& key, MemberId holder, const ReadOptions& options, MemberReply reply) {
  MemberReply confirm = [this, key, options, reply = std::move(reply)](Result<MemberAnswer> answer) mutable {
    if (answer && (!answer->member || !answer->member->Holds(key))) {
      wrong_hints_.Add();
      return ResolveAtPrimary(key, options, std::move(reply));
    }
    reply(std::move(answer));
  };
  Get(holder, options, std::move(confirm));
}

void CenterRoute::ResolveThrough(const IdentityKey& key, const ReadOptions& options, const HolderLookup& miss,
                                 MemberReply reply) {
  const bool is_exact = miss.has_changed_lately;
  child_->Resolve(key, is_exact ? OfPrimary(options) : options,
                  [this, key, options, is_exact, token = miss.token, asked = clock_.Monotonic(),
                   reply = std::move(reply)](Result<MemberAnswer> answer) mutable {
                    if (!answer) return reply(std::move(answer));
                    if (answer->member && !is_exact) {
                      return ConfirmSource(key, options, *std::move(answer), token, asked, std::move(reply));
                    }
                    if (token != FillToken(0)) {
                      cache_.FillHolder(key, answer->member ? std::optional(answer->member->id()) : std::nullopt,
                                        is_exact, token);
                    }
                    reply(std::move(answer));
                  });
}

// The source may be a replica, and the member that it names may have lost the identity since: its version against the
// member's floor tells.
void CenterRoute::ConfirmSource(const IdentityKey& key, const ReadOptions& options, MemberAnswer answer,
                                FillToken token, Instant asked, MemberReply reply) {
  const MemberId id = answer.member->id();
  cache_.Get(id, options.deadline,
             [this, key, options, token, asked, id, answer = std::move(answer),
              reply = std::move(reply)](MemberLookup found) mutable {
               const bool is_in_time = clock_.Monotonic() - asked <= kSourceTimeMax;
               if (found.kind == LookupKind::kHit && found.member && found.member->Holds(key) &&
                   IsOldEnough(found.member, options)) {
                 if (token != FillToken(0)) cache_.FillHolder(key, id, false, token);
                 return reply(FromCenter(std::move(found.member)));
               }
               if (found.kind != LookupKind::kMiss || !is_in_time || answer.member->version() < found.floor) {
                 below_floor_.Add();
                 return ResolveAtPrimary(key, options, std::move(reply));
               }
               if (found.token != FillToken(0)) cache_.Fill(id, answer.member, found.token);
               if (token != FillToken(0)) cache_.FillHolder(key, id, false, token);
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
                       {"skipped", skipped_.Value()}},
          .children = {child_->Describe()}};
}

}  // namespace muster
