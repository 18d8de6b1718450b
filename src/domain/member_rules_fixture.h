#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "domain/member_rules.h"
#include "domain/testing/members.h"

// What tests of the rules of members share.
namespace muster::testing {

inline const Timestamp kNow = Timestamp(std::chrono::seconds(1'800'000'000));
inline const IdentityCatalog& Catalog() {
  static const IdentityCatalog catalog = IdentityCatalog::Default();
  return catalog;
}

inline Member MemberIn(MemberState state) {
  Member member;
  member.id = MemberId(1);
  member.version = Version(7);
  member.state = state;
  member.display_name = "Li Lei";
  member.city = "Suzhou";
  member.tags = {"frequent"};
  member.create_time = kNow - std::chrono::hours(1);
  member.update_time = member.create_time;
  if (state == MemberState::kMerged) member.merged_into = MemberId(2);
  if (state == MemberState::kActive || state == MemberState::kFrozen)
    member.identities = {MakeIdentity(1), MakeIdentity(2)};
  return member;
}

inline MemberPatch Patch(std::vector<std::string> fields, const std::function<void(Member&)>& set = [](Member&) {}) {
  MemberPatch patch;
  patch.fields = std::move(fields);
  set(patch.values);
  return patch;
}

// The change was made, and counts as one version at `kNow`.
inline void ExpectChanged(const Result<bool>& applied, const Member& before, const Member& after) {
  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_TRUE(*applied);
  EXPECT_EQ(after.version.value(), before.version.value() + 1);
  EXPECT_EQ(after.update_time, kNow);
  EXPECT_EQ(after.create_time, before.create_time);
  EXPECT_TRUE(CheckFields(after));
}

inline void ExpectUnchanged(const Result<bool>& applied, const Member& before, const Member& after) {
  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_FALSE(*applied);
  EXPECT_EQ(before, after);
}

inline void ExpectRefused(const Result<bool>& applied, Reason reason, const Member& before, const Member& after) {
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().reason, reason) << applied.error().message;
  EXPECT_FALSE(applied.error().message.empty());
  EXPECT_EQ(before, after);
}

}  // namespace muster::testing
