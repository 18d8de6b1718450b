#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "domain/member_rules.h"
#include "domain/member_rules_fixture.h"
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

TEST(BindTest, AddsTheIdentityAtTheEnd) {
  const Member before = MemberIn(kActive);
  Member member = before;
  Identity identity = testing::MakeIdentity(3);
  identity.bind_time = kNow - std::chrono::hours(1000);
  identity.bound_by = OperationId(5);
  ExpectChanged(ApplyBind(member, identity, Catalog(), kNow), before, member);
  ASSERT_EQ(member.identities.size(), 3u);
  EXPECT_EQ(member.identities[0], before.identities[0]);
  EXPECT_EQ(member.identities[2].key, identity.key);
  EXPECT_EQ(member.identities[2].bind_time, kNow);
  EXPECT_EQ(member.identities[2].bound_by, OperationId(5));
}

TEST(BindTest, WhatItHoldsAlreadyChangesNothing) {
  const Member before = MemberIn(kActive);
  Member member = before;
  Identity again = before.identities[1];
  again.bound_by = OperationId(77);
  again.source = "another";
  ExpectUnchanged(ApplyBind(member, again, Catalog(), kNow), before, member);
}

TEST(BindTest, WhatItHoldsUnverifiedIsRaisedAndNothingElseOfIt) {
  Member before = MemberIn(kActive);
  before.identities[1].verified = false;
  Identity again = before.identities[1];
  again.verified = true;
  again.source = "another";
  Member member = before;
  ExpectChanged(ApplyBind(member, again, Catalog(), kNow), before, member);
  before.version = member.version;
  before.update_time = kNow;
  before.identities[1].verified = true;
  EXPECT_EQ(member, before);
  for (const bool verified : {true, false}) {
    again.verified = verified;
    ExpectUnchanged(ApplyBind(member, again, Catalog(), kNow), before, member);
  }
}

TEST(BindTest, VerifyingWhatItHoldsIsNoMatterOfLimits) {
  const Result<IdentityCatalog> none_left = IdentityCatalog::Make({{.name = "phone", .members_limit = 0}}, {}, "CN");
  Member before = MemberIn(kActive);
  before.identities = {testing::MakeIdentity(1, "phone", "")};
  Member member = before;
  Identity again = before.identities[0];
  again.verified = true;
  ExpectChanged(ApplyBind(member, again, *none_left, kNow), before, member);
}

// The specification's limits: phone 3, email 5, unionid 1 a platform, others 10.
TEST(BindTest, LimitsByKind) {
  const std::vector<std::tuple<std::string, std::string, int>> limits = {
      {"phone", "", 3},     {"email", "", 5},        {"openid", "wechat", 10},
      {"card", "bank", 10}, {"account", "shop", 10}, {"document", "", 10},
  };
  for (const auto& [kind, platform, limit] : limits) {
    Member member = MemberIn(kActive);
    member.identities.clear();
    for (int i = 0; i < limit; ++i) {
      ASSERT_TRUE(ApplyBind(member, testing::MakeIdentity(100 + static_cast<std::uint64_t>(i), kind, platform),
                            Catalog(), kNow));
    }
    const Member before = member;
    const Result<bool> applied = ApplyBind(member, testing::MakeIdentity(200, kind, platform), Catalog(), kNow);
    ExpectRefused(applied, Reason::kLimitExceeded, before, member);
    EXPECT_TRUE(applied.error().message.contains(kind));
    if (!platform.empty()) {
      // Of these the limit is over all platforms.
      ExpectRefused(ApplyBind(member, testing::MakeIdentity(201, kind, "elsewhere"), Catalog(), kNow),
                    Reason::kLimitExceeded, before, member);
    }
    // Another kind has room, and so has this one when one is gone.
    ASSERT_TRUE(
        ApplyBind(member, testing::MakeIdentity(202, kind == "phone" ? "email" : "phone", ""), Catalog(), kNow));
    ASSERT_TRUE(ApplyUnbind(member, testing::MakeIdentity(100).key, kNow));
    EXPECT_TRUE(ApplyBind(member, testing::MakeIdentity(203, kind, platform), Catalog(), kNow));
  }
}

TEST(BindTest, OneUnionidAPlatform) {
  Member member = MemberIn(kActive);
  ASSERT_TRUE(ApplyBind(member, testing::MakeIdentity(10, "unionid", "wechat"), Catalog(), kNow));
  ASSERT_TRUE(ApplyBind(member, testing::MakeIdentity(11, "unionid", "alipay"), Catalog(), kNow));
  const Member before = member;
  ExpectRefused(ApplyBind(member, testing::MakeIdentity(12, "unionid", "wechat"), Catalog(), kNow),
                Reason::kLimitExceeded, before, member);
}

TEST(BindTest, NoMoreThanSixtyFourInAll) {
  std::vector<IdentityKind> kinds;
  for (char letter = 'a'; letter <= 'h'; ++letter)
    kinds.push_back({.name = std::string(1, letter), .members_limit = 100});
  const IdentityCatalog catalog = *IdentityCatalog::Make(kinds, {}, "CN");
  Member member = MemberIn(kActive);
  member.identities.clear();
  for (std::uint64_t i = 0; i < 64; ++i) {
    ASSERT_TRUE(
        ApplyBind(member, testing::MakeIdentity(i, std::string(1, static_cast<char>('a' + i % 8)), ""), catalog, kNow));
  }
  const Member before = member;
  ExpectRefused(ApplyBind(member, testing::MakeIdentity(64, "a", ""), catalog, kNow), Reason::kLimitExceeded, before,
                member);
}

// phone is retired, unionid is bound on alipay only.
IdentityCatalog NarrowedCatalog() {
  return *IdentityCatalog::Make(
      {{.name = "phone", .members_limit = 0}, {.name = "unionid", .scope = UniquenessScope::kPlatform}}, {"alipay"},
      "CN");
}

TEST(BindTest, OnlyOnConfiguredPlatforms) {
  const IdentityCatalog catalog = NarrowedCatalog();
  Member member = MemberIn(kActive);
  member.identities = {testing::MakeIdentity(10, "unionid", "wechat")};
  const Member before = member;
  const Result<bool> refused = ApplyBind(member, testing::MakeIdentity(11, "unionid", "wechat"), catalog, kNow);
  ExpectRefused(refused, Reason::kInvalidArgument, before, member);
  EXPECT_EQ(refused.error().violations.at(0).field, "identity.platform");
  ExpectUnchanged(ApplyBind(member, testing::MakeIdentity(10, "unionid", "wechat"), catalog, kNow), before, member);
  ASSERT_TRUE(ApplyBind(member, testing::MakeIdentity(12, "unionid", "alipay"), catalog, kNow));
  EXPECT_TRUE(ApplyUnbind(member, testing::MakeIdentity(10).key, kNow)) << "what it holds can go";
}

TEST(CheckIdentitiesTest, WhatIsImportedIsNotJudgedByWhatMayBeBound) {
  const IdentityCatalog catalog = NarrowedCatalog();
  Member member = MemberIn(kActive);
  member.identities = {testing::MakeIdentity(10, "unionid", "alipay"), testing::MakeIdentity(11, "unionid", "wechat")};
  Result<void> refused = CheckIdentities(member, catalog);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().violations.at(0).field, "identities[1].platform");
  EXPECT_TRUE(CheckImportedIdentities(member, catalog));
  member.identities = {testing::MakeIdentity(10, "phone", "")};
  EXPECT_EQ(CheckIdentities(member, catalog).error().reason, Reason::kLimitExceeded);
  EXPECT_TRUE(CheckImportedIdentities(member, catalog));

  member.identities.push_back(member.identities[0]);
  EXPECT_EQ(CheckImportedIdentities(member, catalog).error().reason, Reason::kInvalidArgument) << "twice";
  member.identities = {testing::MakeIdentity(10, "fax", "")};
  EXPECT_EQ(CheckImportedIdentities(member, catalog).error().reason, Reason::kInvalidArgument) << "no such kind";
  member.identities.clear();
  for (std::uint64_t i = 0; i <= kIdentitiesMax; ++i)
    member.identities.push_back(testing::MakeIdentity(i, "phone", ""));
  EXPECT_EQ(CheckImportedIdentities(member, catalog).error().reason, Reason::kLimitExceeded)
      << "more than any may hold";
}

TEST(BindTest, RefusesAnUnknownKind) {
  const Member before = MemberIn(kActive);
  Member member = before;
  ExpectRefused(ApplyBind(member, testing::MakeIdentity(3, "fax", ""), Catalog(), kNow), Reason::kInvalidArgument,
                before, member);
}

TEST(CheckIdentitiesTest, RefusesTheSameIdentityTwice) {
  Member member = MemberIn(kActive);
  EXPECT_TRUE(CheckIdentities(member, Catalog()));
  member.identities.push_back(member.identities[0]);
  const Result<void> checked = CheckIdentities(member, Catalog());
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().reason, Reason::kInvalidArgument);
  EXPECT_EQ(checked.error().violations.at(0).field, "identities[2]");
}

// Limits may be lowered, and kinds be left to fade, while members hold what they hold.
TEST(BindTest, JudgesTheNewIdentityAlone) {
  Member member = MemberIn(kActive);
  member.identities.clear();
  for (std::uint64_t i = 0; i < 3; ++i) member.identities.push_back(testing::MakeIdentity(i, "phone", ""));
  const Result<IdentityCatalog> catalog = IdentityCatalog::Make(
      {{.name = "phone", .scope = UniquenessScope::kGlobal, .members_limit = 0}, {.name = "card", .members_limit = 1}},
      {}, "CN");
  ASSERT_TRUE(catalog);
  EXPECT_EQ(ApplyBind(member, testing::MakeIdentity(10, "card", "shop"), *catalog, kNow), true);
  const Member before = member;
  ExpectRefused(ApplyBind(member, testing::MakeIdentity(11, "phone", ""), *catalog, kNow), Reason::kLimitExceeded,
                before, member);
  ExpectRefused(ApplyBind(member, testing::MakeIdentity(12, "email", ""), *catalog, kNow), Reason::kInvalidArgument,
                before, member);
  EXPECT_EQ(ApplyUnbind(member, testing::MakeIdentity(1).key, kNow), true);
}

TEST(CheckIdentitiesTest, RefusalsDoNotRepeatValues) {
  Member member = MemberIn(kActive);
  for (std::uint64_t i = 0; i < 4; ++i) {
    Identity phone = testing::MakeIdentity(i + 50, "phone", "");
    phone.value = Pii("+861380000000" + std::to_string(i));
    member.identities.push_back(phone);
  }
  const Result<void> checked = CheckIdentities(member, Catalog());
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().reason, Reason::kLimitExceeded);
  EXPECT_FALSE(checked.error().message.contains("13800000"));
}

}  // namespace
}  // namespace muster
