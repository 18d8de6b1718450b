#include "bench/population.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kLines =
    R"({"id":"7","state":"ACTIVE","identities":[{"kind":"unionid","platform":"wechat","value":"oA1","state":"BOUND"}]}
{"id":"8","state":"CLOSED","identities":[]}

{"id":"9","identities":[{"kind":"phone","value":"+86138****0001"},{"kind":"phone","value":"+8613800000002"}]}
{"id":"10","state":"ACTIVE","identities":[{"kind":"phone","value":"+8613800000003","state":"QUARANTINED"}]}
{"id":"9223372036854775807"}
)";

TEST(PopulationTest, TakesActiveMembersAndWhatCanBeLookedUp) {
  Population population;
  const auto ids = AddMembers(population, kLines, true);
  ASSERT_TRUE(ids) << ids.error().message;
  EXPECT_THAT(*ids, ElementsAre(7, 8, 9, 10, INT64_MAX));
  EXPECT_THAT(population.members, ElementsAre(MemberId(7), MemberId(9), MemberId(10), MemberId(INT64_MAX)));
  ASSERT_EQ(population.identities.size(), 2U);
  const IdentityView first = population.identities.At(0);
  EXPECT_EQ(first.kind, "unionid");
  EXPECT_EQ(first.platform, "wechat");
  EXPECT_EQ(first.value.Reveal(), "oA1");
  EXPECT_EQ(population.identities.At(1).platform, "");
  EXPECT_EQ(population.identities.At(1).value.Reveal(), "+8613800000002");
}

TEST(PopulationTest, KeepsNoIdentitiesThatNobodyNeeds) {
  Population population;
  ASSERT_TRUE(AddMembers(population, kLines, false, 2));
  EXPECT_EQ(population.members.size(), 2U);
  EXPECT_EQ(population.identities.size(), 0U);
}

TEST(PopulationTest, WhatIsNoMemberIsRefusedAndNotRepeated) {
  for (const char* line : {"{", "[]", "{}", R"({"id":7})", R"({"id":"0"})", R"({"id":"-1"})", R"({"id":"secret"})"}) {
    Population population;
    const auto ids = AddMembers(population, R"({"id":"1"})" + std::string("\n") + line, false);
    ASSERT_FALSE(ids) << line;
    EXPECT_THAT(ids.error().message, HasSubstr("line 2"));
    EXPECT_THAT(ids.error().message, Not(HasSubstr("secret")));
  }
}

TEST(PopulationTest, IdentitiesThatCannotBePackedAreLeftOut) {
  IdentityList list;
  EXPECT_FALSE(list.Add("", "", "x"));
  EXPECT_FALSE(list.Add("phone", "", ""));
  EXPECT_FALSE(list.Add(std::string(256, 'k'), "", "x"));
  EXPECT_FALSE(list.Add("phone", "", std::string(70'000, 'x')));
  EXPECT_TRUE(list.Add("phone", "", "x"));
  EXPECT_EQ(list.size(), 1U);
}

TEST(PopulationTest, ShufflingKeepsEverybody) {
  Population population;
  for (int i = 1; i <= 500; ++i) {
    population.members.emplace_back(i);
    population.identities.Add("account", "shop", std::to_string(i));
  }
  SeededRandom random(3);
  population.Shuffle(random);
  EXPECT_FALSE(std::ranges::is_sorted(population.members));
  std::ranges::sort(population.members);
  std::vector<int> values;
  for (std::size_t i = 0; i < 500; ++i) {
    EXPECT_EQ(population.members[i].value(), static_cast<int>(i) + 1);
    values.push_back(std::stoi(std::string(population.identities.At(i).value.Reveal())));
  }
  std::ranges::sort(values);
  EXPECT_EQ(std::ranges::adjacent_find(values), values.end());
}

}  // namespace
}  // namespace muster
