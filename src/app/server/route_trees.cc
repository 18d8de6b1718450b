#include "app/server/route_trees.h"

#include <optional>
#include <utility>

#include "routing/routes.h"

namespace muster {
namespace {

// Stands where a source will be while an expression is only checked.
class UnaskedReader final : public MemberReader {
 public:
  void Get(MemberId /*id*/, const ReadOptions& /*options*/, MemberReply reply) override { Refuse(std::move(reply)); }
  void Resolve(const IdentityKey& /*key*/, const ReadOptions& /*options*/, MemberReply reply) override {
    Refuse(std::move(reply));
  }
  RouteDescription Describe() const override { return {}; }

 private:
  static void Refuse(MemberReply reply) {
    reply(Fail(Reason::kInternal, "this tree was built to be checked, not to be asked"));
  }
};

class UnaskedCache final : public MemberCache {
 public:
  std::optional<MemberDocumentRef> Find(MemberId /*id*/) override { return std::nullopt; }
  std::optional<MemberDocumentRef> FindHolder(const IdentityKey& /*key*/) override { return std::nullopt; }
  void Fill(MemberId /*id*/, const MemberDocumentRef& /*document*/, CommitSequence /*as_of*/) override {}
  void FillHolder(const IdentityKey& /*key*/, const MemberDocumentRef& /*document*/,
                  CommitSequence /*as_of*/) override {}
  void Erase(std::span<const MemberId> /*members*/, std::span<const IdentityKey> /*keys*/) override {}
  Stats ReadStats() const override { return {}; }
};

}  // namespace

Result<std::unique_ptr<MemberReader>> RouteTrees::Grow(EventLoop& loop) {
  std::optional<Error> refused;
  RouteParts parts{.sources = {}, .caches = {{"near", parts_.near_cache}}, .floor = parts_.floor};
  parts.sources["store"] = [&]() -> std::unique_ptr<MemberReader> {
    auto reader = parts_.store->MakeReader(loop);
    if (reader) return std::move(*reader);
    refused = reader.error();
    return std::make_unique<UnaskedReader>();
  };
  auto tree = BuildRoutes(expression_, parts);
  if (refused) return Fail(*refused);
  if (tree) {
    std::lock_guard lock(mutex_);
    trees_.push_back(tree->get());
  }
  return tree;
}

RouteDescription RouteTrees::Describe() const {
  std::lock_guard lock(mutex_);
  std::vector<RouteDescription> descriptions;
  descriptions.reserve(trees_.size());
  for (const MemberReader* tree : trees_) descriptions.push_back(tree->Describe());
  return MergeDescriptions(std::move(descriptions));
}

Result<void> CheckRouteExpression(std::string_view expression) {
  UnaskedCache cache;
  const CommitFloor floor;
  RouteParts parts{.sources = {}, .caches = {{"near", &cache}}, .floor = &floor};
  parts.sources["store"] = [] { return std::make_unique<UnaskedReader>(); };
  MUSTER_TRY(BuildRoutes(expression, parts));
  return {};
}

}  // namespace muster
