#include "api/write_content.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "api/member_json.h"
#include "base/random.h"
#include "domain/identity_catalog.h"
#include "domain/keyring.h"

namespace muster {
namespace {

class WriteContentTest : public ::testing::Test {
 protected:
  std::string Registration(const std::string& json) { return ContentOf(json_.ReadMember(json).value()).Reveal(); }
  std::string Patch(const std::string& json, const std::vector<std::string>* mask = nullptr) {
    return ContentOf(json_.ReadPatch(json, mask, false).value()).Reveal();
  }
  std::string Bound(const std::string& json) { return ContentOf(json_.ReadIdentity(json, true).value()).Reveal(); }

  SeededRandom random_{1};
  Keyring keyring_ = Keyring::Generate(random_);
  IdentityCatalog catalog_ = IdentityCatalog::Default();
  MemberJson json_{catalog_, keyring_.hash_key()};
};

TEST_F(WriteContentTest, SpellingDoesNotMatter) {
  EXPECT_EQ(Registration(R"({"city":"Suzhou","tier":"gold","attributes":{"a":"1","b":"2"}})"),
            Registration(R"({ "attributes":{"b":"2","a":"1"}, "tier":"gold", "gender":null, "city":"Suzhou" })"));
  EXPECT_EQ(Bound(R"({"identity":{"kind":"phone","value":"138 0000 0001"}})"),
            Bound(R"({"identity":{"value":"+8613800000001","kind":"phone","verified":false}})"));
  const std::vector<std::string> mask = {"tier", "city"};
  const std::vector<std::string> turned = {"city", "tier"};
  EXPECT_EQ(Patch(R"({"city":"Wuxi"})", &mask), Patch(R"({"city":"Wuxi","displayName":"not named"})", &turned));
}

TEST_F(WriteContentTest, WhateverIsAskedForDoes) {
  std::set<std::string> all;
  const std::vector<std::string> bodies = {
      "{}",
      R"({"id":"7"})",
      R"({"state":"ACTIVE"})",
      R"({"state":"FROZEN"})",
      R"({"version":"1"})",
      R"({"version":"2"})",
      R"({"displayName":"x"})",
      R"({"realName":"x"})",
      R"({"gender":"MALE"})",
      R"({"birthDate":"2000-01-01"})",
      R"({"city":"x"})",
      R"({"tier":"x"})",
      R"({"tags":["x"]})",
      R"({"tags":["x","y"]})",
      R"({"tags":["y","x"]})",
      R"({"attributes":{"x":"y"}})",
      R"({"attributes":{"x":"y","y":""}})",
      R"({"identities":[{"kind":"phone","value":"+8613800000001"}]})",
      R"({"identities":[{"kind":"phone","value":"+8613800000002"}]})",
      R"({"identities":[{"kind":"phone","value":"+8613800000001","verified":true}]})",
      R"({"identities":[{"kind":"phone","value":"+8613800000001","source":"shop"}]})",
      R"({"identities":[{"kind":"phone","value":"+8613800000001","bindTime":"2020-01-01T00:00:00Z"}]})",
      R"({"createTime":"2020-01-01T00:00:00Z"})",
      R"({"updateTime":"2020-01-01T00:00:00Z"})",
      R"({"createTime":"1970-01-01T00:00:00Z"})",
      R"({"mergedInto":"9"})"};
  for (const std::string& body : bodies) all.insert(Registration(body));
  // A state and a version at their defaults say what no state and no version say; but only who may import gives them.
  EXPECT_EQ(all.size(), bodies.size() - 1);

  const std::vector<std::string> city = {"city"};
  const std::vector<std::string> both = {"city", "tier"};
  EXPECT_NE(Patch("{}", &city), Patch("{}", &both));
  EXPECT_NE(Patch(R"({"city":"x"})", &city), Patch("{}", &city));
}

TEST(ConditionTextTest, TellsConditionsApart) {
  const std::set<std::string> all = {ConditionText({}), ConditionText({Version(1)}), ConditionText({Version(12)}),
                                     ConditionText({Version(1), Version(2)})};
  EXPECT_EQ(all.size(), 4U);
}

}  // namespace
}  // namespace muster
