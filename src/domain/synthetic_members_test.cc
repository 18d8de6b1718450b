#include "domain/synthetic_members.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "domain/identity_catalog.h"
#include "domain/member_document.h"
#include "domain/member_rules.h"

namespace muster {
namespace {

constexpr std::uint64_t kSeed = 42;

KeyedHash TestHash() { return KeyedHash(SecretKey{1, 2, 3}); }

TEST(SyntheticMembersTest, EveryMemberIsLegalAndItsIdentitiesAreNormalised) {
  const IdentityCatalog catalog = IdentityCatalog::Default();
  KeyedHash hash = TestHash();
  const SyntheticMembers members(kSeed);
  for (std::uint64_t i = 0; i < 4000; ++i) {
    // Near the beginning and spread over the whole range.
    const std::uint64_t index = i < 2000 ? i : SyntheticMembers::kIndexEnd - 1 - (i - 2000) * 499'979;
    const Member member = members.Make(index, hash);
    ASSERT_TRUE(CheckFields(member)) << index;
    ASSERT_TRUE(CheckIdentities(member, catalog)) << index;
    EXPECT_EQ(member.state, MemberState::kActive);
    EXPECT_EQ(member.id, MemberId(0));
    ASSERT_GE(member.identities.size(), 2u);
    for (const Identity& identity : member.identities) {
      const std::string& value = identity.value.Reveal();
      const Result<std::string> normalised = catalog.Normalise(identity.kind, identity.platform, value, "");
      ASSERT_TRUE(normalised) << index << " " << value;
      EXPECT_EQ(*normalised, value);
      EXPECT_EQ(identity.key, hash.KeyOf(identity.kind, identity.platform, value));
    }
    EXPECT_EQ(member.identities[0].value.Reveal(), members.PhoneOf(index));
    EXPECT_EQ(member.identities[1].value.Reveal(), members.UnionidOf(index));
  }
}

TEST(SyntheticMembersTest, IdentitiesAreUnique) {
  KeyedHash hash = TestHash();
  const SyntheticMembers members(kSeed);
  std::set<IdentityKey> keys;
  std::size_t count = 0;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const std::uint64_t index = i % 2 == 0 ? i : SyntheticMembers::kIndexEnd - i;
    for (const Identity& identity : members.Make(index, hash).identities) {
      keys.insert(identity.key);
      ++count;
    }
  }
  EXPECT_EQ(keys.size(), count);
}

TEST(SyntheticMembersTest, IsAFunctionOfSeedAndIndex) {
  KeyedHash hash = TestHash();
  EXPECT_EQ(SyntheticMembers(kSeed).Make(77, hash), SyntheticMembers(kSeed).Make(77, hash));
  EXPECT_NE(SyntheticMembers(kSeed).Make(77, hash), SyntheticMembers(kSeed).Make(78, hash));
  EXPECT_NE(SyntheticMembers(kSeed).PhoneOf(77), SyntheticMembers(kSeed + 1).PhoneOf(77));
  EXPECT_NE(SyntheticMembers(kSeed).UnionidOf(77), SyntheticMembers(kSeed + 1).UnionidOf(77));
}

TEST(SyntheticMembersTest, IsOfTheSizeThatFiguresArePlannedWith) {
  KeyedHash hash = TestHash();
  const SyntheticMembers members(kSeed);
  std::size_t bytes = 0;
  constexpr std::size_t kCount = 1000;
  for (std::uint64_t index = 0; index < kCount; ++index) {
    Member member = members.Make(index, hash);
    member.id = MemberId(1'700'000'000'000'000'000);
    bytes += MakeMemberDocument(member)->json().size();
  }
  EXPECT_GT(bytes / kCount, 550u);
  EXPECT_LT(bytes / kCount, 700u);
}

}  // namespace
}  // namespace muster
