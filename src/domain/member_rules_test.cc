#include "domain/member_rules.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "domain/member_rules_fixture.h"
#include "domain/testing/arbitrary_member.h"
#include "domain/testing/members.h"

namespace muster {
namespace {

using enum MemberState;
using testing::Catalog;
using testing::ExpectChanged;
using testing::ExpectRefused;
using testing::ExpectUnchanged;
using testing::kNow;
using testing::MemberIn;
using testing::Patch;

constexpr MemberState kAllStates[] = {kActive, kFrozen, kMerged, kClosed};

TEST(TransitionTest, AreThoseOfTheDrawingAndNoOthers) {
  const std::set<std::pair<MemberState, MemberState>> legal = {
      {kActive, kFrozen},  // freeze
      {kFrozen, kActive},  // unfreeze
      {kActive, kMerged},  // merge
      {kMerged, kActive},  // unmerge
      {kActive, kClosed},  // close
      {kFrozen, kClosed},
  };
  for (const MemberState from : kAllStates) {
    for (const MemberState to : kAllStates) {
      const Result<void> checked = CheckTransition(from, to);
      EXPECT_EQ(checked.has_value(), legal.contains({from, to})) << StateName(from) << " to " << StateName(to);
      if (!checked) EXPECT_EQ(checked.error().reason, Reason::kStateConflict);
    }
  }
}

TEST(StateTest, OnlyAnActiveMemberTakesOrdinaryWrites) {
  for (const MemberState state : kAllStates) {
    const Member before = MemberIn(state);
    const std::vector<std::function<Result<bool>(Member&)>> writes = {
        [](Member& m) { return ApplyUpdate(m, Patch({"city"}, [](Member& v) { v.city = "Wuxi"; }), kNow); },
        [](Member& m) { return ApplyUpdate(m, Patch({"city"}, [](Member& v) { v.city = "Suzhou"; }), kNow); },
        [](Member& m) { return ApplyBind(m, testing::MakeIdentity(3), Catalog(), kNow); },
        [](Member& m) { return ApplyBind(m, testing::MakeIdentity(1), Catalog(), kNow); },
        [](Member& m) { return ApplyUnbind(m, testing::MakeIdentity(1).key, kNow); },
        [](Member& m) { return ApplyUnbind(m, testing::MakeIdentity(9).key, kNow); },
    };
    for (std::size_t i = 0; i < writes.size(); ++i) {
      Member member = before;
      const Result<bool> applied = writes[i](member);
      if (state != kActive) {
        ExpectRefused(applied, Reason::kStateConflict, before, member);
      } else {
        EXPECT_TRUE(applied.has_value() || applied.error().reason == Reason::kIdentityNotFound);
      }
    }
  }
}

TEST(StateTest, AFrozenMemberIsUnfrozenAndMayChangeWithIt) {
  const Member before = MemberIn(kFrozen);
  Member member = before;
  ExpectChanged(ApplyUpdate(member, Patch({"state"}), kNow), before, member);  // ACTIVE is what a new Member has
  EXPECT_EQ(member.state, kActive);

  member = before;
  ExpectChanged(ApplyUpdate(member, Patch({"city", "state"}, [](Member& v) { v.city = "Wuxi"; }), kNow), before,
                member);
  EXPECT_EQ(member.state, kActive);
  EXPECT_EQ(member.city, "Wuxi");
}

TEST(StateTest, AFrozenMemberThatIsFrozenAgainStays) {
  const Member before = MemberIn(kFrozen);
  const auto freeze = [](Member& v) { v.state = kFrozen; };
  Member member = before;
  ExpectUnchanged(ApplyUpdate(member, Patch({"state"}, freeze), kNow), before, member);
  ExpectRefused(ApplyUpdate(member, Patch({"state", "city"}, freeze), kNow), Reason::kStateConflict, before, member);
}

TEST(StateTest, FreezingMayComeWithOtherChanges) {
  const Member before = MemberIn(kActive);
  Member member = before;
  const auto change = [](Member& v) {
    v.state = kFrozen;
    v.city = "Wuxi";
  };
  ExpectChanged(ApplyUpdate(member, Patch({"state", "city"}, change), kNow), before, member);
  EXPECT_EQ(member.state, kFrozen);
  EXPECT_EQ(member.city, "Wuxi");
}

TEST(StateTest, AnUpdateNeitherClosesNorMerges) {
  for (const MemberState to : {kMerged, kClosed, static_cast<MemberState>(0), static_cast<MemberState>(9)}) {
    const Member before = MemberIn(kActive);
    Member member = before;
    const Result<bool> applied = ApplyUpdate(member, Patch({"state"}, [to](Member& v) { v.state = to; }), kNow);
    ExpectRefused(applied, Reason::kInvalidArgument, before, member);
    EXPECT_EQ(applied.error().violations.at(0).field, "state");
  }
}

TEST(UpdateTest, ChangesTheNamedFieldsOnly) {
  Member values;
  values.display_name = "Han Meimei";
  values.real_name = Pii<std::string>("韩梅梅");
  values.gender = Gender::kFemale;
  values.birth_date = "1991-02-03";
  values.city = "Wuxi";
  values.tier = "gold";
  values.tags = {"a", "b"};
  values.attributes = {{"k", "v"}};
  values.state = kFrozen;
  values.id = MemberId(99);
  values.version = Version(99);
  values.identities = {testing::MakeIdentity(99)};
  const std::vector<std::pair<std::string, std::function<void(Member&)>>> fields = {
      {"displayName", [&](Member& m) { m.display_name = values.display_name; }},
      {"realName", [&](Member& m) { m.real_name = values.real_name; }},
      {"gender", [&](Member& m) { m.gender = values.gender; }},
      {"birthDate", [&](Member& m) { m.birth_date = values.birth_date; }},
      {"city", [&](Member& m) { m.city = values.city; }},
      {"tier", [&](Member& m) { m.tier = values.tier; }},
      {"tags", [&](Member& m) { m.tags = values.tags; }},
      {"attributes", [&](Member& m) { m.attributes = values.attributes; }},
      {"state", [&](Member& m) { m.state = values.state; }},
  };
  for (const auto& [field, set] : fields) {
    const Member before = MemberIn(kActive);
    Member expected = before;
    set(expected);
    expected.version = Version(8);
    expected.update_time = kNow;
    Member member = before;
    MemberPatch patch;
    patch.fields = {field};
    patch.values = values;
    ExpectChanged(ApplyUpdate(member, patch, kNow), before, member);
    EXPECT_EQ(member, expected) << field;
  }
}

TEST(UpdateTest, AFieldThatTheBodyLacksIsCleared) {
  const Member before = MemberIn(kActive);
  Member member = before;
  ExpectChanged(ApplyUpdate(member, Patch({"city", "tags"}), kNow), before, member);
  EXPECT_EQ(member.city, "");
  EXPECT_TRUE(member.tags.empty());
  EXPECT_EQ(member.display_name, before.display_name);
}

TEST(UpdateTest, WhatChangesNothingIsNoVersion) {
  const Member before = MemberIn(kActive);
  Member member = before;
  ExpectUnchanged(ApplyUpdate(member, Patch({}), kNow), before, member);
  ExpectUnchanged(ApplyUpdate(member, Patch({"city", "city"}, [](Member& v) { v.city = "Suzhou"; }), kNow), before,
                  member);
  ExpectUnchanged(ApplyUpdate(member, Patch({"tier", "gender", "attributes", "state"}), kNow), before, member);
}

TEST(UpdateTest, RefusesFieldsThatAreNotToBeUpdated) {
  for (const char* field : {"", "id", "version", "identities", "createTime", "updateTime", "mergedInto", "display_name",
                            "City", "city ", "attributes.k", "tags[0]", "*"}) {
    const Member before = MemberIn(kActive);
    Member member = before;
    const Result<bool> applied = ApplyUpdate(member, Patch({"city", field}), kNow);
    ExpectRefused(applied, Reason::kInvalidArgument, before, member);
    EXPECT_EQ(applied.error().violations.at(0).field, "updateMask");
  }
}

TEST(UpdateTest, RefusesIllegalValuesAsAWhole) {
  const Member before = MemberIn(kActive);
  Member member = before;
  const auto values = [](Member& v) {
    v.city = "Wuxi";
    v.birth_date = "1990-02-30";
  };
  const Result<bool> applied = ApplyUpdate(member, Patch({"city", "birthDate"}, values), kNow);
  ExpectRefused(applied, Reason::kInvalidArgument, before, member);
  EXPECT_EQ(applied.error().violations.at(0).field, "birthDate");
}

TEST(UpdateTest, AMaskDoesNotReplaceTheRealName) {
  Member before = MemberIn(kActive);
  before.real_name = Pii<std::string>("Wang Fang");
  Member member = before;
  const auto masked = [](Member& v) { v.real_name = Pii<std::string>("W***"); };
  const Result<bool> applied = ApplyUpdate(member, Patch({"city", "realName"}, masked), kNow);
  ExpectRefused(applied, Reason::kInvalidArgument, before, member);
  EXPECT_EQ(applied.error().violations.at(0).field, "realName");
  ExpectChanged(ApplyUpdate(member, Patch({"city"}, masked), kNow), before, member);
  EXPECT_EQ(member.real_name, before.real_name);
}

TEST(UnbindTest, RemovesTheIdentityAndKeepsTheOrder) {
  Member before = MemberIn(kActive);
  before.identities.push_back(testing::MakeIdentity(3));
  Member member = before;
  ExpectChanged(ApplyUnbind(member, before.identities[1].key, kNow), before, member);
  EXPECT_EQ(member.identities, (std::vector<Identity>{before.identities[0], before.identities[2]}));
}

TEST(UnbindTest, WhatItDoesNotHoldIsNotFound) {
  const Member before = MemberIn(kActive);
  Member member = before;
  ExpectRefused(ApplyUnbind(member, testing::MakeIdentity(9).key, kNow), Reason::kIdentityNotFound, before, member);
}

TEST(CloseTest, FreesEveryIdentityAndKeepsTheRest) {
  for (const MemberState state : {kActive, kFrozen}) {
    const Member before = MemberIn(state);
    Member member = before;
    ExpectChanged(ApplyClose(member, kNow), before, member);
    EXPECT_EQ(member.state, kClosed);
    EXPECT_TRUE(member.identities.empty());
    EXPECT_EQ(member.display_name, before.display_name);
  }
}

TEST(CloseTest, AClosedMemberStaysAndAMergedOneIsRefused) {
  const Member closed = MemberIn(kClosed);
  Member member = closed;
  ExpectUnchanged(ApplyClose(member, kNow), closed, member);
  const Member merged = MemberIn(kMerged);
  member = merged;
  ExpectRefused(ApplyClose(member, kNow), Reason::kStateConflict, merged, member);
}

TEST(CheckVersionTest, RefusesAnotherVersionAndSaysWhichItIs) {
  const Member member = MemberIn(kActive);
  EXPECT_TRUE(CheckVersion(member, std::nullopt));
  EXPECT_TRUE(CheckVersion(member, Version(7)));
  for (const std::int64_t version : {6, 8, 0}) {
    const Result<void> checked = CheckVersion(member, Version(version));
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().reason, Reason::kVersionMismatch);
    EXPECT_TRUE(checked.error().message.contains("version 7"));
  }
}

TEST(CheckImportedVersionTest, LeavesRoomToCountOn) {
  EXPECT_TRUE(CheckImportedVersion(Version(1)));
  EXPECT_TRUE(CheckImportedVersion(kImportedVersionMax));
  for (const std::int64_t version : {kImportedVersionMax.value() + 1, INT64_MAX}) {
    const Result<void> checked = CheckImportedVersion(Version(version));
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().violations.at(0).field, "version");
  }
}

// Whatever is applied to whatever member: it is refused and leaves it as it was, changes nothing, or gives a legal
// member of the next version whose state the drawing allows.
RC_GTEST_PROP(MemberRulesProperty, EveryChangeKeepsAMemberLegal, ()) {
  Member member = *testing::ArbitraryMember();
  member.version = Version(*rc::gen::inRange<std::int64_t>(1, 1000));
  if (member.identities.size() > 10) member.identities.resize(10);
  const Member before = member;
  Result<bool> applied = false;
  switch (*rc::gen::inRange(0, 4)) {
    case 0: {
      MemberPatch patch;
      patch.values = *testing::ArbitraryMember();
      patch.fields = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
          "displayName", "realName", "gender", "birthDate", "city", "tier", "tags", "attributes", "state", "id"));
      applied = ApplyUpdate(member, patch, kNow);
      break;
    }
    case 1:
      applied = ApplyBind(member, *testing::ArbitraryIdentity(), Catalog(), kNow);
      break;
    case 2: {
      const bool is_held = !member.identities.empty() && *rc::gen::arbitrary<bool>();
      applied = ApplyUnbind(member, is_held ? member.identities.back().key : IdentityKey{}, kNow);
      break;
    }
    default:
      applied = ApplyClose(member, kNow);
  }
  if (!applied || !*applied) {
    RC_ASSERT((member == before));
    return;
  }
  RC_ASSERT(CheckFields(member).has_value());
  RC_ASSERT(member.version.value() == before.version.value() + 1);
  RC_ASSERT(member.id == before.id);
  RC_ASSERT(member.state == before.state || CheckTransition(before.state, member.state).has_value());
  RC_ASSERT(before.state == kActive || before.state == kFrozen);
}

}  // namespace
}  // namespace muster
