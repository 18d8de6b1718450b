#include "routing/cache_route.h"

#include <utility>

namespace muster {

CacheRoute::CacheRoute(std::string name, MemberCache& cache, std::unique_ptr<MemberReader> child)
    : name_(std::move(name)), cache_(cache), child_(std::move(child)) {}

void CacheRoute::Get(MemberId id, const ReadOptions& options, MemberReply reply) {
  if (options.no_cache || options.prefer_primary) {
    skipped_.Add();
  } else if (AnswerFrom(cache_.Find(id), options, reply)) {
    return;
  }
  child_->Get(id, options, [this, id, reply = std::move(reply)](Result<MemberAnswer> answer) mutable {
    if (answer) cache_.Fill(id, answer->member, answer->as_of);
    reply(std::move(answer));
  });
}

void CacheRoute::Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) {
  if (options.no_cache || options.prefer_primary) {
    skipped_.Add();
  } else if (AnswerFrom(cache_.FindHolder(key), options, reply)) {
    return;
  }
  child_->Resolve(key, options, [this, key, reply = std::move(reply)](Result<MemberAnswer> answer) mutable {
    if (answer) cache_.FillHolder(key, answer->member, answer->as_of);
    reply(std::move(answer));
  });
}

bool CacheRoute::AnswerFrom(std::optional<MemberDocumentRef> found, const ReadOptions& options, MemberReply& reply) {
  if (!found) {
    misses_.Add();
    return false;
  }
  const Version version = *found ? (*found)->version() : Version(0);
  if (version < options.min_version) {
    too_old_.Add();
    return false;
  }
  hits_.Add();
  reply(MemberAnswer{.member = *std::move(found), .source = Source::kNear});
  return true;
}

RouteDescription CacheRoute::Describe() const {
  return {.name = "cache(" + name_ + ")",
          .policy = "answers from the cache " + name_ + ", else asks below and keeps the answer",
          .counters = {{"hits", hits_.Value()},
                       {"misses", misses_.Value()},
                       {"too_old", too_old_.Value()},
                       {"skipped", skipped_.Value()}},
          .children = {child_->Describe()}};
}

}  // namespace muster
