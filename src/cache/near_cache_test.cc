#include "cache/near_cache.h"

#include <gtest/gtest.h>

#include "domain/ports/member_cache_contract.h"

namespace muster {
namespace {

struct NearCacheFactory {
  explicit NearCacheFactory(const CommitFloor& floor) : near(MakeNearCache({}, floor)) {}
  MemberCache& cache() { return *near; }
  std::unique_ptr<MemberCache> near;
};

struct SmallestNearCacheFactory {
  explicit SmallestNearCacheFactory(const CommitFloor& floor)
      : near(MakeNearCache({.bytes = kNearCacheBytesMin, .negative_percent = 1}, floor)) {}
  MemberCache& cache() { return *near; }
  std::unique_ptr<MemberCache> near;
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Near, MemberCacheContract, NearCacheFactory);
INSTANTIATE_TYPED_TEST_SUITE_P(SmallestNear, MemberCacheContract, SmallestNearCacheFactory);

}  // namespace muster
