#include "domain/ports/member_cache_contract.h"

#include "domain/testing/plain_member_cache.h"

namespace muster {
namespace {

class PlainCache {
 public:
  explicit PlainCache(const CommitFloor& floor) : cache_(floor) {}
  MemberCache& cache() { return cache_; }

 private:
  testing::PlainMemberCache cache_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Plain, MemberCacheContract, PlainCache);

}  // namespace
}  // namespace muster
