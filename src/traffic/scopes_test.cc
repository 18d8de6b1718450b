#include "traffic/scopes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace muster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Scopes, NamesAndScopesAreOneToOne) {
  std::set<std::string_view> names;
  for (const Scope scope : AllScopes()) {
    names.insert(ScopeName(scope));
    EXPECT_EQ(ParseScope(ScopeName(scope)), scope);
  }
  EXPECT_EQ(names.size(), 5U);
  EXPECT_EQ(ParseScope(""), std::nullopt);
  EXPECT_EQ(ParseScope("Admin"), std::nullopt);
}

TEST(Scopes, AreKeptOnceAndInOrder) {
  const auto checked = CheckScopes({"admin", "members.read", "admin"});
  ASSERT_TRUE(checked);
  EXPECT_THAT(*checked, ElementsAre("members.read", "admin"));
}

TEST(Scopes, AMistypedOneIsRefusedWithTheNearest) {
  const auto refused = CheckScopes({"members.read", "member.write"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kInvalidArgument);
  ASSERT_EQ(refused.error().violations.size(), 1U);
  EXPECT_EQ(refused.error().violations[0].field, "scopes[1]");
  EXPECT_THAT(refused.error().violations[0].description, HasSubstr("did you mean members.write?"));
  EXPECT_THAT(refused.error().violations[0].description,
              HasSubstr("members.read, members.write, personal.read, members.import, admin"));
}

TEST(Scopes, NoneAtAllIsRefused) {
  const auto refused = CheckScopes({});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().violations.at(0).field, "scopes");
}

}  // namespace
}  // namespace muster
