// The fakes that stand for whole ports keep their contracts. What only answers as it is told is a stub, and keeps none.

#include "api/testing/fake_directory.h"
#include "api/testing/fake_feed.h"
#include "domain/ports/change_feed_contract.h"
#include "domain/ports/import_ranges_contract.h"
#include "domain/ports/member_archive_contract.h"

namespace muster {
namespace {

class FakeFactory {
 public:
  MemberArchive& archive() { return archive_; }
  ImportRanges& ranges() { return ranges_; }
  ChangeFeed& feed() { return feed_; }
  void Write(const Member& member, const Change& change) { archive_.Put(member, change); }
  void Commit(const Member& member, ChangeType type) { feed_.CommitOne(member.id, member.version, type); }
  void ExpireSome() { feed_.Expire(10); }

 private:
  testing::FakeArchive archive_;
  testing::FakeImportRanges ranges_;
  testing::FakeFeed feed_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Fake, MemberArchiveContract, FakeFactory);
INSTANTIATE_TYPED_TEST_SUITE_P(Fake, ImportRangesContract, FakeFactory);
INSTANTIATE_TYPED_TEST_SUITE_P(Fake, ChangeFeedContract, FakeFactory);

}  // namespace
}  // namespace muster
