#include "routing/tracked_route.h"

#include <optional>
#include <utility>

namespace muster {

TrackedRoute::TrackedRoute(std::string name, TrackedCache& cache, std::unique_ptr<MemberReader> child)
    : name_(std::move(name)), cache_(cache), child_(std::move(child)) {}

void TrackedRoute::Get(MemberId id, const ReadOptions& options, MemberReply reply) {
  if (options.no_cache || options.prefer_primary) {
    skipped_.Add();
    return child_->Get(id, options, std::move(reply));
  }
  std::optional<TrackedCache::Found> found = cache_.Find(id);
  const Version version = found && found->member ? found->member->version() : Version(0);
  if (found && version >= options.min_version) {
    hits_.Add();
    return reply(MemberAnswer{.member = std::move(found->member), .source = Source::kNear, .age = found->age});
  }
  (found ? too_old_ : misses_).Add();
  child_->Get(id, options,
              [this, id, ticket = cache_.Begin(id), reply = std::move(reply)](Result<MemberAnswer> answer) mutable {
                if (answer && answer->source == Source::kRedis) cache_.Fill(id, answer->member, ticket);
                reply(std::move(answer));
              });
}

void TrackedRoute::Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) {
  skipped_.Add();
  child_->Resolve(key, options, std::move(reply));
}

RouteDescription TrackedRoute::Describe() const {
  return {.name = "cache(" + name_ + ")",
          .policy = "answers gets from the near cache " + name_ + ", which hears of changes, for a second at most",
          .counters = {{"hits", hits_.Value()},
                       {"misses", misses_.Value()},
                       {"too_old", too_old_.Value()},
                       {"skipped", skipped_.Value()}},
          .children = {child_->Describe()}};
}

}  // namespace muster
