// The contract of MemberReader on the policies, each alone and in the tree that a server has.

#include "domain/ports/member_reader_contract.h"
#include "domain/testing/memory_reader.h"
#include "domain/testing/plain_member_cache.h"
#include "routing/routes.h"

namespace muster {
namespace {

constexpr char kCache[] = "cache(near, store)";
constexpr char kCoalesce[] = "coalesce(store)";
constexpr char kTree[] = "cache(near, coalesce(store))";

template <const char* kExpression>
class RouteFactory {
 public:
  MemberReader& reader() { return *reader_; }
  ManualClock& clock() { return clock_; }
  void Put(const Member& member) { members_.Put(member); }
  void RunLoop() {}

 private:
  std::unique_ptr<MemberReader> Build() {
    RouteParts parts;
    parts.sources["store"] = [this] { return std::make_unique<testing::MemoryReader>(members_, clock_); };
    parts.caches["near"] = &cache_;
    parts.floor = &floor_;
    return BuildRoutes(kExpression, parts).value();
  }

  ManualClock clock_;
  CommitFloor floor_;
  testing::PlainMemberCache cache_{floor_};
  testing::MemoryMembers members_{floor_, &cache_};
  const std::unique_ptr<MemberReader> reader_ = Build();
};

using Routes = ::testing::Types<RouteFactory<kCache>, RouteFactory<kCoalesce>, RouteFactory<kTree>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Routes, MemberReaderContract, Routes);

}  // namespace
}  // namespace muster
