#include "domain/merge_rules.h"

#include <gtest/gtest.h>

#include "domain/member_rules_fixture.h"

namespace muster::merge_rules_test {
namespace {

using testing::Catalog;
using testing::kNow;
using testing::MakeIdentity;
using testing::MemberIn;
using enum MemberState;

constexpr MemberId kSurvivor{50};
constexpr OperationId kOperation{900};

Member Survivor(MemberState state = kActive) {
  Member member = MemberIn(state);
  member.id = kSurvivor;
  if (!member.identities.empty()) member.identities = {MakeIdentity(10)};
  return member;
}

Member Source(MemberState state = kActive) {
  Member member = MemberIn(state);
  for (Identity& identity : member.identities) identity.bound_by = OperationId(7);
  if (state == kMerged) member.merged_into = kSurvivor;
  return member;
}

Member Marked(Member giver, MoveMark::Kind kind, MemberId taker, std::vector<IdentityKey> keys) {
  giver.move =
      MoveMark{.kind = kind, .operation_id = kOperation, .other = taker, .keys = std::move(keys), .time = kNow};
  return giver;
}

std::vector<IdentityKey> KeysOf(const Member& member) {
  std::vector<IdentityKey> keys;
  for (const Identity& identity : member.identities) keys.push_back(identity.key);
  return keys;
}

template <typename T>
void ExpectConflict(const Result<T>& result, std::string_view says) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kStateConflict);
  EXPECT_NE(result.error().message.find(says), std::string::npos) << result.error().message;
}

TEST(MergeRulesTest, BothHaveToBeActive) {
  EXPECT_EQ(CheckMerge(Source(), Survivor()), true);
  ExpectConflict(CheckMerge(Source(), Survivor(kFrozen)), "the member is FROZEN: unfreeze");
  ExpectConflict(CheckMerge(Source(), Survivor(kClosed)), "the member is CLOSED");
  ExpectConflict(CheckMerge(Source(), Survivor(kMerged)), "merged into member 2");
  ExpectConflict(CheckMerge(Source(kFrozen), Survivor()), "the source is FROZEN: unfreeze");
  ExpectConflict(CheckMerge(Source(kClosed), Survivor()), "the source is CLOSED");
}

TEST(MergeRulesTest, WhatIsMergedIsNotMergedAgain) {
  EXPECT_EQ(CheckMerge(Source(kMerged), Survivor()), false);
  Member elsewhere = Source(kMerged);
  elsewhere.merged_into = MemberId(77);
  ExpectConflict(CheckMerge(elsewhere, Survivor()), "merged into member 77");
}

TEST(MergeRulesTest, OnlyWhatIsMergedIntoAnActiveMemberIsTakenBack) {
  EXPECT_TRUE(CheckUnmerge(Source(kMerged), Survivor()));
  ExpectConflict(CheckUnmerge(Source(), Survivor()), "nothing to take back");
  Member elsewhere = Source(kMerged);
  elsewhere.merged_into = MemberId(77);
  ExpectConflict(CheckUnmerge(elsewhere, Survivor()), "member 77");
  ExpectConflict(CheckUnmerge(Source(kMerged), Survivor(kMerged)), "unmerge it from member 2 first");
  ExpectConflict(CheckUnmerge(Source(kMerged), Survivor(kFrozen)), "unfreeze");
  ExpectConflict(CheckUnmerge(Source(kMerged), Survivor(kClosed)), "final");
}

TEST(MergeRulesTest, AMergeMovesEverythingAndKeepsWhereItCameFrom) {
  const Member source = Source();
  const Member giver = Marked(source, MoveMark::Kind::kMerge, kSurvivor, KeysOf(source));
  const Member merged = AfterGiving(giver);
  EXPECT_EQ(merged.state, kMerged);
  EXPECT_EQ(merged.merged_into, kSurvivor);
  EXPECT_TRUE(merged.identities.empty());
  EXPECT_EQ(merged.version.value(), source.version.value() + 1);
  EXPECT_FALSE(merged.move);

  const Member survivor = Survivor();
  const Member after = AfterTaking(survivor, giver, Catalog(), kNow).value();
  EXPECT_EQ(after.version.value(), survivor.version.value() + 1);
  EXPECT_EQ(after.update_time, kNow);
  ASSERT_EQ(after.identities.size(), 3U);
  EXPECT_EQ(after.identities[0], survivor.identities[0]);
  Identity expected = source.identities[0];
  expected.origin = OperationId(7);
  expected.bound_by = kOperation;
  EXPECT_EQ(after.identities[1], expected);
}

TEST(MergeRulesTest, WhatIsTakenBackIsWhatWasBroughtAndStayed) {
  const Member source = Source();
  const MergeRecord record = RecordOf(source);
  Member survivor =
      AfterTaking(Survivor(), Marked(source, MoveMark::Kind::kMerge, kSurvivor, KeysOf(source)), Catalog(), kNow)
          .value();
  EXPECT_EQ(StillHeld(survivor, record), KeysOf(source));
  // Unbound and bound anew: it is the survivor's own now.
  survivor.identities[1].origin = {};
  survivor.identities[1].bound_by = OperationId(901);
  EXPECT_EQ(StillHeld(survivor, record), std::vector{source.identities[1].key});
  survivor.identities.pop_back();
  EXPECT_TRUE(StillHeld(survivor, record).empty());
}

TEST(MergeRulesTest, AnUnmergeGivesBackAPart) {
  Member survivor = Survivor();
  survivor.identities.push_back(MakeIdentity(1));
  survivor.identities[1].bound_by = OperationId(800);
  survivor.identities[1].origin = OperationId(7);
  const Member giver = Marked(survivor, MoveMark::Kind::kUnmerge, MemberId(1), {MakeIdentity(1).key});
  const Member left = AfterGiving(giver);
  EXPECT_EQ(left.state, kActive);
  EXPECT_EQ(left.identities, std::vector{survivor.identities[0]});
  const Member back = AfterTaking(Source(kMerged), giver, Catalog(), kNow).value();
  EXPECT_EQ(back.state, kActive);
  EXPECT_EQ(back.merged_into, MemberId(0));
  ASSERT_EQ(back.identities.size(), 1U);
  EXPECT_EQ(back.identities[0].bound_by, kOperation);
  EXPECT_EQ(back.identities[0].origin, OperationId(7));
}

TEST(MergeRulesTest, TheUnionKeepsTheLimitsOfEachKindThatMoves) {
  Member source = Source();
  source.identities = {MakeIdentity(1, "unionid", "wechat")};
  Member survivor = Survivor();
  survivor.identities = {MakeIdentity(2, "unionid", "wechat")};
  const Member giver = Marked(source, MoveMark::Kind::kMerge, kSurvivor, KeysOf(source));
  const Result<Member> refused = AfterTaking(survivor, giver, Catalog(), kNow);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kLimitExceeded);
  survivor.identities = {MakeIdentity(2, "unionid", "alipay")};
  EXPECT_TRUE(AfterTaking(survivor, giver, Catalog(), kNow));
}

}  // namespace
}  // namespace muster::merge_rules_test
