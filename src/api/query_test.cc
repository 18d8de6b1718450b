#include "api/query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>

namespace muster {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::array<std::string_view, 4> kKnown = {"kind", "value", "minVersion", "verbose"};

std::string FieldOf(const Result<void>& result) {
  EXPECT_FALSE(result.has_value());
  EXPECT_EQ(result.error().reason, Reason::kInvalidArgument);
  return result.error().violations.empty() ? "" : result.error().violations[0].field;
}

TEST(PercentDecodeTest, RefusesMalformedEscapes) {
  for (const char* text : {"%", "%2", "%zz", "a%2", "%%20", "%2g", "%-1"}) {
    std::string out;
    EXPECT_FALSE(PercentDecode(text, out)) << text;
  }
}

TEST(PercentDecodeTest, LeavesPlusAlone) {
  std::string out;
  ASSERT_TRUE(PercentDecode("+86%20138", out));
  EXPECT_EQ(out, "+86 138");
}

TEST(DecodeQueryValueTest, APlusIsASpaceUnlessItIsTheFirst) {
  const auto decoded = [](std::string_view text) {
    std::string out = "before:";
    EXPECT_TRUE(DecodeQueryValue(text, out)) << text;
    return out.substr(7);
  };
  EXPECT_EQ(decoded("+8613800000001"), "+8613800000001");
  EXPECT_EQ(decoded("+86+138+0000+0001"), "+86 138 0000 0001");
  EXPECT_EQ(decoded("%2B86+138"), "+86 138");
  EXPECT_EQ(decoded("li+lei"), "li lei");
  EXPECT_EQ(decoded("li%2Blei"), "li+lei");
  EXPECT_EQ(decoded("li%20lei+"), "li lei ");
  EXPECT_EQ(decoded("++"), "+ ");
  EXPECT_EQ(decoded("+"), "+");
  EXPECT_EQ(decoded(""), "");
  for (const char* text : {"+%", "+%2", "a+%zz"}) {
    std::string out;
    EXPECT_FALSE(DecodeQueryValue(text, out)) << text;
  }
}

// As urllib, curl, URLSearchParams and URLEncoder encode.
RC_GTEST_PROP(DecodeQueryValueTest, UndoesFormEncoding, (const std::string& text)) {
  RC_PRE(!text.starts_with(' '));
  std::string encoded;
  for (const char c : text) {
    char escape[4];
    std::snprintf(escape, sizeof escape, "%%%02X", static_cast<unsigned char>(c));
    encoded += c == ' ' ? "+" : escape;
  }
  std::string out;
  RC_ASSERT(DecodeQueryValue(encoded, out));
  RC_ASSERT(out == text);
}

RC_GTEST_PROP(PercentDecodeTest, UndoesEncoding, (const std::string& text)) {
  std::string encoded;
  for (const char c : text) {
    char escape[4];
    std::snprintf(escape, sizeof escape, "%%%02X", static_cast<unsigned char>(c));
    encoded += escape;
  }
  std::string out;
  RC_ASSERT(PercentDecode(encoded, out));
  RC_ASSERT(out == text);
}

TEST(QueryParametersTest, RefusesAnUnknownNameAndOffersTheNearest) {
  QueryParameters query;
  const auto result = query.Parse("knid=phone", kKnown);
  EXPECT_EQ(FieldOf(result), "knid");
  EXPECT_THAT(result.error().message, HasSubstr("did you mean \"kind\""));
}

TEST(QueryParametersTest, DoesNotRepeatANameThatIsNoWord) {
  QueryParameters query;
  const auto result = query.Parse("+8613800000001=x", kKnown);
  FieldOf(result);
  EXPECT_THAT(result.error().message, Not(HasSubstr("138")));
  EXPECT_THAT(result.error().violations[0].field, Not(HasSubstr("138")));
}

TEST(QueryParametersTest, RefusesANameGivenTwice) {
  QueryParameters query;
  EXPECT_EQ(FieldOf(query.Parse("kind=a&kind=a", kKnown)), "kind");
  EXPECT_EQ(FieldOf(query.Parse("kind=a&%6bind=b", kKnown)), "kind");
}

TEST(QueryParametersTest, RefusesWhatIsNoText) {
  QueryParameters query;
  EXPECT_EQ(FieldOf(query.Parse("value=%00", kKnown)), "value");
  EXPECT_EQ(FieldOf(query.Parse("value=a%00b", kKnown)), "value");
  EXPECT_EQ(FieldOf(query.Parse("value=%ff", kKnown)), "value");
  EXPECT_EQ(FieldOf(query.Parse("value=%ed%a0%80", kKnown)), "value");  // a surrogate
  EXPECT_EQ(FieldOf(query.Parse("value=%4", kKnown)), "value");
  FieldOf(query.Parse("%4=x", kKnown));
}

TEST(QueryParametersTest, NeverRepeatsAValue) {
  QueryParameters query;
  for (const char* text : {"value=secret%00", "value=secret%f", "value=secret&value=secret", "minVersion=secret"}) {
    Result<void> result = query.Parse(text, kKnown);
    if (auto number = query.Integer("minVersion", 0, 0, 9); result && !number) result = std::unexpected(number.error());
    FieldOf(result);
    EXPECT_THAT(result.error().message, Not(HasSubstr("secret"))) << text;
  }
}

TEST(QueryParametersTest, BoundsTheirNumber) {
  std::array<std::string, QueryParameters::kParametersMax + 1> names;
  std::array<std::string_view, QueryParameters::kParametersMax + 1> known;
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    names[i] = "p" + std::to_string(i);
    known[i] = names[i];
    text += names[i] + "=1&";
  }
  QueryParameters query;
  FieldOf(query.Parse(text, known));
}

TEST(QueryParametersTest, FindsDecodedValues) {
  QueryParameters query;
  ASSERT_TRUE(query.Parse("kind=phone&&value=+86%20138&verbose&", kKnown));
  EXPECT_EQ(query.Find("kind"), "phone");
  EXPECT_EQ(query.Find("value"), "+86 138");
  EXPECT_EQ(query.Find("verbose"), "");
  EXPECT_EQ(query.Find("minVersion"), std::nullopt);
  ASSERT_TRUE(query.Parse("value=a=b", kKnown));
  EXPECT_EQ(query.Find("value"), "a=b");
  EXPECT_EQ(query.Find("kind"), std::nullopt) << "left from the query before";
  ASSERT_TRUE(query.Parse("kind=phone&value=+86+138%2B", kKnown));
  EXPECT_EQ(query.Find("value"), "+86 138+");
  EXPECT_FALSE(query.Parse("min+Version=1", kKnown)) << "names have no spaces";
}

TEST(QueryParametersTest, IntegersKeepToTheirBounds) {
  QueryParameters query;
  for (const char* text : {"-1", "11", "1.0", "1e1", " 1", "1 ", "+1", "", "0x1", "99999999999999999999"}) {
    ASSERT_TRUE(query.Parse("minVersion=" + std::string(text), kKnown));
    EXPECT_FALSE(query.Integer("minVersion", 0, 0, 10)) << text;
  }
  ASSERT_TRUE(query.Parse("minVersion=10", kKnown));
  EXPECT_EQ(query.Integer("minVersion", 0, 0, 10).value(), 10);
  EXPECT_EQ(query.Integer("kind", 7, 0, 10).value(), 7);
}

TEST(ParseDecimalTest, TakesAllOfTheTextOrNothing) {
  EXPECT_EQ(ParseDecimal("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(ParseDecimal("0"), 0);
  for (const char* text : {"9223372036854775808", "-1", "+1", "1a", "a", ""}) EXPECT_FALSE(ParseDecimal(text)) << text;
}

}  // namespace
}  // namespace muster
