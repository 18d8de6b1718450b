// The contract of MemberReader on the policies, each alone and in the tree that a server has.

#include <map>
#include <vector>

#include "domain/ports/member_reader_contract.h"
#include "domain/testing/memory_center_cache.h"
#include "domain/testing/memory_reader.h"
#include "domain/testing/plain_member_cache.h"
#include "routing/routes.h"

namespace muster {
namespace {

constexpr char kCache[] = "cache(near, store)";
constexpr char kCoalesce[] = "coalesce(store)";
constexpr char kTree[] = "cache(near, coalesce(store))";
constexpr char kCenter[] = "cache(redis, store)";
constexpr char kCenterTree[] = "cache(redis, coalesce(store))";

template <const char* kExpression>
class RouteFactory {
 public:
  MemberReader& reader() { return *reader_; }
  ManualClock& clock() { return clock_; }
  RouteFactory() { center_.BeginEpoch(Epoch(1)); }
  void Put(const Member& member) {
    members_.Put(member);
    // Between the commit and its acknowledgement, as a writer does.
    TouchedEntries touched{.members = {{member.id, member.version}}, .keys = {}};
    std::vector<IdentityKey>& held = held_[member.id];
    touched.keys = held;
    held.clear();
    for (const Identity& identity : member.identities) held.push_back(identity.key);
    touched.keys.insert(touched.keys.end(), held.begin(), held.end());
    center_cache_.Invalidate(touched, Deadline(), [](const Invalidation&) {});
  }
  void RunLoop() {}

 private:
  std::unique_ptr<MemberReader> Build() {
    RouteParts parts;
    parts.sources["store"] = [this] { return std::make_unique<testing::MemoryReader>(members_, clock_); };
    parts.caches["near"] = &cache_;
    parts.center_caches["redis"] = &center_cache_;
    parts.floor = &floor_;
    parts.clock = &clock_;
    return BuildRoutes(kExpression, parts).value();
  }

  ManualClock clock_;
  CommitFloor floor_;
  testing::PlainMemberCache cache_{floor_};
  testing::MemoryMembers members_{floor_, &cache_};
  testing::MemoryCenter center_{clock_};
  testing::MemoryCenterCache center_cache_{center_,
                                           [] { return CacheState{.epoch = Epoch(1), .mode = CacheMode::kOn}; }};
  std::map<MemberId, std::vector<IdentityKey>> held_;
  const std::unique_ptr<MemberReader> reader_ = Build();
};

using Routes = ::testing::Types<RouteFactory<kCache>, RouteFactory<kCoalesce>, RouteFactory<kTree>,
                                RouteFactory<kCenter>, RouteFactory<kCenterTree>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Routes, MemberReaderContract, Routes);

}  // namespace
}  // namespace muster
