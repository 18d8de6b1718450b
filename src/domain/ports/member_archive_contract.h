#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <vector>

#include "domain/ports/member_archive.h"
#include "domain/ports/shard_store_testing.h"

namespace muster {

// The contract of MemberArchive as tests, run on every engine:
//
//   struct MyArchive { MemberArchive& archive(); void Write(const Member&, const Change&); };  // empty
//   INSTANTIATE_TYPED_TEST_SUITE_P(MyEngine, MemberArchiveContract, MyArchive);
//
// `Write` commits a version of a member, with its change.
template <typename Factory>
concept MemberArchiveFactory =
    std::default_initializable<Factory> && requires(Factory factory, const Member& member, const Change& change) {
      { factory.archive() } -> std::same_as<MemberArchive&>;
      factory.Write(member, change);
    };

template <MemberArchiveFactory Factory>
class MemberArchiveContract : public ::testing::Test {
 protected:
  Member Write(std::int64_t id, std::int64_t version = 1) {
    const Member member = contract::PlainMember(MemberId(id), Version(version));
    factory_.Write(member, contract::ChangeOf(member));
    return member;
  }
  std::vector<std::int64_t> VersionsOf(std::int64_t id, std::int64_t before, std::size_t limit) {
    const auto changes = archive().ListHistory(MemberId(id), Version(before), limit);
    EXPECT_TRUE(changes);
    std::vector<std::int64_t> versions;
    for (const Change& change : *changes) versions.push_back(change.version.value());
    return versions;
  }
  MemberArchive& archive() { return factory_.archive(); }

  Factory factory_;
};

TYPED_TEST_SUITE_P(MemberArchiveContract);

TYPED_TEST_P(MemberArchiveContract, HistoryComesNewestFirstAndInPages) {
  for (std::int64_t version = 1; version <= 5; ++version) this->Write(9, version);
  this->Write(10, 1);
  using Versions = std::vector<std::int64_t>;
  EXPECT_EQ(this->VersionsOf(9, INT64_MAX, 3), (Versions{5, 4, 3}));
  EXPECT_EQ(this->VersionsOf(9, 3, 3), (Versions{2, 1}));
  EXPECT_EQ(this->VersionsOf(9, 1, 3), Versions());
  EXPECT_EQ(this->VersionsOf(9, INT64_MAX, 0), Versions());
  EXPECT_EQ(this->VersionsOf(11, INT64_MAX, 3), Versions());
}

TYPED_TEST_P(MemberArchiveContract, HistoryHoldsWhatTheChangeSaid) {
  const Member member = this->Write(9, 4);
  const auto changes = this->archive().ListHistory(member.id, Version(INT64_MAX), 10);
  ASSERT_TRUE(changes);
  EXPECT_EQ(*changes, std::vector{contract::ChangeOf(member)});
}

TYPED_TEST_P(MemberArchiveContract, AWalkMeetsEveryMemberOnceInTheOrderOfIds) {
  constexpr std::int64_t kMembers = 40;
  std::vector<Member> written;
  for (std::int64_t id = kMembers; id >= 1; --id) written.push_back(this->Write(id));
  std::ranges::reverse(written);
  written[6] = this->Write(7, 2);

  std::vector<Member> walked;
  for (MemberId after(0);;) {
    const auto page = this->archive().ScanMembers(after, 7);
    ASSERT_TRUE(page);
    ASSERT_LE(page->size(), 7U);
    walked.insert(walked.end(), page->begin(), page->end());
    if (page->size() < 7) break;
    after = page->back().id;
  }
  EXPECT_EQ(walked, written);
  EXPECT_TRUE(this->archive().ScanMembers(MemberId(kMembers), 7)->empty());
  EXPECT_TRUE(this->archive().ScanMembers(MemberId(0), 0)->empty());
}

TYPED_TEST_P(MemberArchiveContract, OfTheAskedForThereAreThoseThatExist) {
  std::vector<Member> written;
  for (std::int64_t id = 1; id <= 9; ++id) written.push_back(this->Write(id));
  const std::vector<MemberId> ids = {MemberId(7), MemberId(100), MemberId(2)};
  auto found = this->archive().ReadMembers(ids);
  ASSERT_TRUE(found);
  std::ranges::sort(*found, {}, &Member::id);
  EXPECT_EQ(*found, (std::vector{written[1], written[6]}));
  EXPECT_TRUE(this->archive().ReadMembers({})->empty());
}

REGISTER_TYPED_TEST_SUITE_P(MemberArchiveContract, HistoryComesNewestFirstAndInPages, HistoryHoldsWhatTheChangeSaid,
                            AWalkMeetsEveryMemberOnceInTheOrderOfIds, OfTheAskedForThereAreThoseThatExist);

}  // namespace muster
