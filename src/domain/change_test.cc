#include "domain/change.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "domain/ports/member_reader.h"

namespace muster {
namespace {

TEST(ChangeTypeTest, NamesAreThoseOfTheApiAndReadBack) {
  EXPECT_EQ(ChangeTypeName(ChangeType::kIdentityBound), "IDENTITY_BOUND");
  std::set<std::string_view> names;
  for (int number = 1; number <= 8; ++number) {
    const auto type = static_cast<ChangeType>(number);
    names.insert(ChangeTypeName(type));
    EXPECT_EQ(ParseChangeType(ChangeTypeName(type)), type);
  }
  EXPECT_EQ(names.size(), 8u);
}

TEST(ChangeTypeTest, UnknownNamesAreNoType) {
  EXPECT_EQ(ParseChangeType(""), std::nullopt);
  EXPECT_EQ(ParseChangeType("identity_bound"), std::nullopt);
  EXPECT_EQ(ParseChangeType("IDENTITY_BOUND "), std::nullopt);
}

TEST(SourceTest, NamesAreThoseOfTheReplyHeader) {
  EXPECT_EQ(SourceName(Source::kNear), "near");
  EXPECT_EQ(SourceName(Source::kPrimary), "primary");
}

}  // namespace
}  // namespace muster
