#include "store/settled_member.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

#include "base/error.h"
#include "domain/testing/members.h"

namespace muster {
namespace {

constexpr MemberId kGiver{5};
constexpr MemberId kTaker{6};

Member Plain(MemberId id) {
  Member member;
  member.id = id;
  member.version = Version(3);
  return member;
}

Member Giver(std::int64_t operation) {
  Member member = Plain(kGiver);
  member.identities = {testing::MakeIdentity(1)};
  member.move =
      MoveMark{.operation_id = OperationId(operation), .other = kTaker, .keys = {testing::MakeIdentity(1).key}};
  return member;
}

Member Taker(std::int64_t operation) {
  Member member = Plain(kTaker);
  member.move = MoveMark{.role = MoveMark::Role::kTakes, .operation_id = OperationId(operation), .other = kGiver};
  return member;
}

// Gives prepared rows in the order in which they are asked for, and notes what was done.
class ScriptedRows final : public MemberSource {
 public:
  Result<std::optional<Member>> ReadRow(MemberId id) override {
    steps.push_back("read " + std::to_string(id.value()));
    if (rows.empty()) return Fail(Reason::kInternal, "read failed");
    std::optional<Member> row = rows.front();
    rows.pop_front();
    return row;
  }
  bool SharesRows(MemberId, MemberId) const override { return one_snapshot; }
  void BeginAnew() override { steps.emplace_back("begin anew"); }

  std::deque<std::optional<Member>> rows;
  bool one_snapshot = false;
  std::vector<std::string> steps;
};

using Steps = std::vector<std::string>;

TEST(ReadSettledTest, AMemberWithoutAMarkIsReadOnce) {
  for (const std::optional<Member>& row : {std::optional(Plain(kGiver)), std::optional<Member>()}) {
    ScriptedRows source;
    source.rows = {row};
    EXPECT_EQ(ReadSettled(kGiver, source).value().member, row);
    EXPECT_EQ(source.steps, Steps{"read 5"});
  }
}

TEST(ReadSettledTest, ATakerIsAsItStands) {
  ScriptedRows source;
  source.rows = {Taker(9)};
  EXPECT_EQ(ReadSettled(kTaker, source).value().member, Taker(9));
  EXPECT_EQ(source.steps, Steps{"read 6"});
}

TEST(ReadSettledTest, AGiverWhoseMoveIsCommittedIsShownFinished) {
  ScriptedRows source;
  source.rows = {Giver(9), Taker(9)};
  const SettledMember settled = ReadSettled(kGiver, source).value();
  EXPECT_EQ(settled.member->state, MemberState::kMerged);
  EXPECT_EQ(settled.member->merged_into, kTaker);
  EXPECT_EQ(settled.member->version, Version(4));
  EXPECT_TRUE(settled.member->identities.empty());
  EXPECT_EQ(settled.heir, kTaker);
}

TEST(ReadSettledTest, AGiverWhoseMoveIsNotCommittedIsShownAsItStandsIfItStillStands) {
  for (const Member& taker : {Plain(kTaker), Taker(8)}) {
    ScriptedRows source;
    source.rows = {Giver(9), taker, Giver(9)};
    const SettledMember settled = ReadSettled(kGiver, source).value();
    EXPECT_EQ(settled.member, Giver(9));
    EXPECT_FALSE(settled.heir);
    EXPECT_EQ(source.steps, (Steps{"read 5", "read 6", "begin anew", "read 5"}));
  }
}

TEST(ReadSettledTest, InOneSnapshotOneLookDoes) {
  ScriptedRows source;
  source.one_snapshot = true;
  source.rows = {Giver(9), Plain(kTaker)};
  EXPECT_EQ(ReadSettled(kGiver, source).value().member, Giver(9));
  EXPECT_EQ(source.steps, (Steps{"read 5", "read 6"}));
}

// The taker's mark was gone because the move was finished: what the giver is then is read anew.
TEST(ReadSettledTest, AMoveThatEndsMeanwhileIsSeen) {
  ScriptedRows source;
  source.rows = {Giver(9), Plain(kTaker), Plain(kGiver)};
  EXPECT_EQ(ReadSettled(kGiver, source).value().member, Plain(kGiver));
  source.rows = {Giver(9), Plain(kTaker), Giver(10), Taker(10)};
  EXPECT_EQ(ReadSettled(kGiver, source).value().member->state, MemberState::kMerged);
}

TEST(ReadSettledTest, MovesWithoutEndAreGivenUpAndFailuresComeThrough) {
  ScriptedRows source;
  for (std::int64_t operation = 1; operation < 40; ++operation) {
    source.rows.push_back(Giver(operation));
    source.rows.push_back(Plain(kTaker));
  }
  EXPECT_EQ(ReadSettled(kGiver, source).error().reason, Reason::kOverloaded);
  source.rows = {};
  EXPECT_EQ(ReadSettled(kGiver, source).error().reason, Reason::kInternal);
  source.rows = {Giver(9)};
  EXPECT_EQ(ReadSettled(kGiver, source).error().reason, Reason::kInternal);
}

}  // namespace
}  // namespace muster
