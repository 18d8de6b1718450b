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

class UnaskedCenterCache final : public CenterCache {
 public:
  void Get(MemberId /*id*/, Deadline /*deadline*/, std::move_only_function<void(MemberLookup)> reply) override {
    reply({});
  }
  void FindHolder(const IdentityKey& /*key*/, Deadline /*deadline*/,
                  std::move_only_function<void(HolderLookup)> reply) override {
    reply({});
  }
  void Fill(MemberId /*id*/, const MemberDocumentRef& /*document*/, FillToken /*token*/) override {}
  void FillHolder(const IdentityKey& /*key*/, std::optional<MemberId> /*holder*/, bool /*is_exact*/,
                  FillToken /*token*/) override {}
  void Invalidate(const TouchedEntries& /*touched*/, Deadline /*deadline*/,
                  std::move_only_function<void(Invalidation)> reply) override {
    reply({});
  }
  std::vector<std::pair<std::string, std::uint64_t>> Counters() const override { return {}; }
};

class UnaskedTrackedCache final : public TrackedCache {
 public:
  std::optional<Found> Find(MemberId /*id*/) override { return std::nullopt; }
  Ticket Begin(MemberId /*id*/) override { return {}; }
  void Fill(MemberId /*id*/, const MemberDocumentRef& /*document*/, const Ticket& /*ticket*/) override {}
  std::vector<std::pair<std::string, std::uint64_t>> Counters() const override { return {}; }
};

// A tree with what its loop alone has.
class OwningTree final : public MemberReader {
 public:
  OwningTree(CenterCaches::Readers caches, std::unique_ptr<MemberReader> tree)
      : caches_(std::move(caches)), tree_(std::move(tree)) {}

  void Get(MemberId id, const ReadOptions& options, MemberReply reply) override {
    tree_->Get(id, options, std::move(reply));
  }
  void Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) override {
    tree_->Resolve(key, options, std::move(reply));
  }
  RouteDescription Describe() const override { return tree_->Describe(); }

 private:
  const CenterCaches::Readers caches_;
  const std::unique_ptr<MemberReader> tree_;
};

}  // namespace

Result<std::unique_ptr<MemberReader>> RouteTrees::Grow(SocketLoop& loop) {
  std::optional<Error> refused;
  RouteParts parts{.sources = {},
                   .caches = {{"near", parts_.near_cache}},
                   .floor = parts_.floor,
                   .clock = parts_.clock,
                   .loop = &loop,
                   .timer = parts_.timer};
  CenterCaches::Readers readers;
  if (parts_.center_caches != nullptr) {
    MUSTER_ASSIGN(readers, parts_.center_caches->MakeReaders(loop, parts_.loops));
    parts.center_caches = {{"redis", readers.center.get()}};
    parts.tracked_caches = {{"tracked", readers.tracked.get()}};
  }
  parts.sources["store"] = [&]() -> std::unique_ptr<MemberReader> {
    auto reader = parts_.store->MakeReader(loop);
    if (reader) return std::move(*reader);
    refused = reader.error();
    return std::make_unique<UnaskedReader>();
  };
  auto tree = BuildRoutes(expression_, parts);
  if (refused) return Fail(*refused);
  if (tree && readers.center) tree = std::make_unique<OwningTree>(std::move(readers), *std::move(tree));
  if (tree) {
    std::lock_guard lock(mutex_);
    trees_.push_back({.loop = &loop, .tree = tree->get()});
  }
  return tree;
}

bool RouteTrees::Get(MemberId id, const ReadOptions& options, MemberReply reply) const {
  std::lock_guard lock(mutex_);
  if (trees_.empty()) return false;
  const Grown first = trees_.front();
  first.loop->Post(
      [first, id, options, reply = std::move(reply)]() mutable { first.tree->Get(id, options, std::move(reply)); });
  return true;
}

RouteDescription RouteTrees::Describe() const {
  std::lock_guard lock(mutex_);
  std::vector<RouteDescription> descriptions;
  descriptions.reserve(trees_.size());
  for (const Grown& grown : trees_) descriptions.push_back(grown.tree->Describe());
  return MergeDescriptions(std::move(descriptions));
}

Result<void> CheckRouteExpression(std::string_view expression, bool has_centers) {
  UnaskedCache cache;
  UnaskedCenterCache center_cache;
  UnaskedTrackedCache tracked_cache;
  const CommitFloor floor;
  const SystemClock clock;
  RouteParts parts{.sources = {}, .caches = {{"near", &cache}}, .floor = &floor, .clock = &clock};
  if (has_centers) {
    parts.center_caches = {{"redis", &center_cache}};
    parts.tracked_caches = {{"tracked", &tracked_cache}};
  }
  parts.sources["store"] = [] { return std::make_unique<UnaskedReader>(); };
  MUSTER_TRY(BuildRoutes(expression, parts));
  return {};
}

}  // namespace muster
