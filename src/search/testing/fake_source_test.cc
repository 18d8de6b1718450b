// The fake source of the tests of the index keeps the contracts of the two ports that it stands for.

#include "search/testing/fake_source.h"

#include "domain/ports/change_feed_contract.h"
#include "domain/ports/member_archive_contract.h"

namespace muster {
namespace {

class FakeFactory {
 public:
  ChangeFeed& feed() { return source_; }
  MemberArchive& archive() { return source_; }
  void Write(const Member& member, const Change& change) { source_.Put(member, change); }
  void Commit(const Member& member, ChangeType type) { source_.Put(member, contract::ChangeOf(member, type)); }
  void ExpireSome() { source_.Expire(10); }

 private:
  testing::FakeSource source_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(FakeSource, ChangeFeedContract, FakeFactory);
INSTANTIATE_TYPED_TEST_SUITE_P(FakeSource, MemberArchiveContract, FakeFactory);

}  // namespace
}  // namespace muster
