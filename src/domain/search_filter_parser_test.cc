#include <gtest/gtest.h>

#include <string>

#include "domain/search_filter.h"

namespace muster {
namespace {

// The filter's one spelling, or what is wrong with it.
std::string Read(std::string_view text) {
  const Result<Filter> filter = ParseFilter(text);
  return filter ? PrintFilter(*filter) : filter.error().violations.at(0).description;
}

TEST(SearchFilterParserTest, ReadsEveryKindOfField) {
  EXPECT_EQ(Read(""), "");
  EXPECT_EQ(Read(" \n"), "");
  EXPECT_EQ(Read("city=Suzhou"), R"(city = "Suzhou")");
  EXPECT_EQ(Read(R"(city != "New \"York\" \\")"), R"(city != "New \"York\" \\")");
  EXPECT_EQ(Read("tags:frequent"), R"(tags:"frequent")");
  EXPECT_EQ(Read("tags:*"), "tags:*");
  EXPECT_EQ(Read(R"(tags:"*")"), R"(tags:"*")");
  EXPECT_EQ(Read("attributes.store = 12"), R"(attributes."store" = "12")");
  EXPECT_EQ(Read(R"(attributes."my store".x:"a")"), R"(attributes."my store.x" = "a")");
  EXPECT_EQ(Read("attributes:store"), R"(attributes."store":*)");
  EXPECT_EQ(Read("state = \"ACTIVE\""), "state = ACTIVE");
  EXPECT_EQ(Read("gender != OTHER"), "gender != OTHER");
  EXPECT_EQ(Read("birthDate < 2000-02-29"), R"(birthDate < "2000-02-29")");
  EXPECT_EQ(Read("createTime >= 2026-01-02T03:04:05+08:00"), R"(createTime >= "2026-01-01T19:04:05Z")");
  EXPECT_EQ(Read("version > \"7\""), "version > 7");
  EXPECT_EQ(Read("mergedInto = 42 id<=9223372036854775807"), "mergedInto = 42 AND id <= 9223372036854775807");
  EXPECT_EQ(Read("identities.kind:phone identities.platform = wechat"),
            R"(identities.kind:"phone" AND identities.platform:"wechat")");
}

TEST(SearchFilterParserTest, OrBindsTighterThanAnd) {
  EXPECT_EQ(Read("city = a AND city = b OR city = c"), R"(city = "a" AND city = "b" OR city = "c")");
  EXPECT_EQ(*ParseFilter("city = a AND city = b OR city = c"), *ParseFilter("city = a AND (city = b OR city = c)"));
  EXPECT_EQ(*ParseFilter("city=a city=b AND city=c"), *ParseFilter("(city=a AND city=b) AND city=c"));
  EXPECT_EQ(Read("(city=a city=b) OR city=c"), R"((city = "a" AND city = "b") OR city = "c")");
  EXPECT_EQ(Read("-city=a NOT (tier=b tier=c)"), R"(NOT city = "a" AND NOT (tier = "b" AND tier = "c"))");
  EXPECT_EQ(Read("NOT(-(tags:x))"), R"(NOT (NOT tags:"x"))");
}

TEST(SearchFilterParserTest, PointsAtTheMistake) {
  const std::pair<const char*, const char*> kMistakes[] = {
      {"cty = a", "column 1: cty is no field that members are searched by; did you mean city?"},
      {"city = a AND", "column 13: a comparison is missing here"},
      {"city = a AND AND tier = b", "column 14: AND stands between two comparisons"},
      {"NOT NOT city = a", "column 5: NOT stands before a comparison or a (, once"},
      {"city = a and tier = b", "column 10: write AND, OR and NOT in capital letters"},
      {"city", "column 5: after city a comparison belongs: = != < <= > >= or :"},
      {"city == a", "column 6: there is no such comparison; there are = != < <= > >= and :"},
      {"city =", "column 7: a value is missing here"},
      {"city = AND tier = b", "column 8: a value is missing before AND; put it in quotes if it is the value"},
      {"city : a", "column 6: city is no list: write = for it"},
      {"city > a", "column 6: city is a text: compare it with = or !="},
      {"city = Su*", "column 8: there are no wildcards; write the whole value, in quotes if it has a *"},
      {"city = 'a'", "column 8: put text in double quotes"},
      {"city = (a OR b)",
       "column 8: a comparison takes one value; write city = \"a\" OR city = \"b\" for one of several"},
      {"city = \"abc", "column 8: this text has no end; close it with \""},
      {R"(city = "a\n")", R"(column 10: in quotes a backslash stands before " or \ only; write \\ for a backslash)"},
      {"tags = a", "column 6: tags is a list: write tags:\"frequent\""},
      {"attributes = a",
       "column 12: name the attribute: attributes.channel = \"store\", or attributes:channel for those with one"},
      {"attributes. = a", "column 12: a name is missing after the dot"},
      {"state = active", "column 9: state is ACTIVE, FROZEN, MERGED or CLOSED"},
      {"state > ACTIVE", "column 7: state has no order: compare it with = or !="},
      {"gender = UNSPECIFIED", "column 10: gender is FEMALE, MALE or OTHER"},
      {"birthDate = 2001-02-29", "column 13: birthDate is compared with a day: \"1990-05-17\""},
      {"birthDate = 0000-01-01", "column 13: birthDate is compared with a day: \"1990-05-17\""},
      {"updateTime > 2026-01-02",
       "column 14: updateTime is compared with a time as in RFC 3339: \"2026-01-02T03:04:05Z\""},
      {"version = -1", "column 11: version is compared with a whole number from 0 to 9223372036854775807"},
      {"id:*", "column 3: id is always set; leave this comparison out"},
      {"(city = a", "column 1: this ( is never closed; add the ) that belongs to it"},
      {"city = a)", "column 9: this ) closes nothing"},
      {"()", "column 2: a comparison is missing here"},
      {"city = a, tier = b", "column 9: write AND or OR between two comparisons"},
      {"\"Suzhou\"", "column 1: a comparison begins with the name of a field: city = \"Suzhou\""},
      {"city = 苏州 AND tir = 金", "column 15: tir is no field that members are searched by; did you mean tier?"},
  };
  for (const auto& [text, what] : kMistakes) EXPECT_EQ(Read(text), what) << text;
}

TEST(SearchFilterParserTest, RefusesPersonalFieldsWithTheReason) {
  EXPECT_EQ(Read("city = a realName = \"Li Lei\""),
            "column 10: realName is personal and not searched; find a member by an identity with /v1/members:resolve");
  EXPECT_TRUE(
      Read("identities.value = \"+8613800000001\"").starts_with("column 1: the values of identities are personal"));
  // Nothing that may be a value is repeated.
  EXPECT_EQ(Read("13800000001").find("138"), std::string::npos);
}

std::string Repeat(std::string_view text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

TEST(SearchFilterParserTest, IsBounded) {
  EXPECT_EQ(Read(Repeat("(", 1000) + "id=1" + Repeat(")", 1000)),
            "column 33: parentheses stand in each other more than 32 deep; write the filter with fewer");
  EXPECT_TRUE(ParseFilter(Repeat("(", 32) + "id=1" + Repeat(")", 32)));
  EXPECT_TRUE(ParseFilter(Repeat("NOT (", 32) + "id=1" + Repeat(")", 32)));
  EXPECT_EQ(Read(Repeat("id=1 ", 257)), "column 1281: a filter has at most 256 comparisons; ask in parts");
  EXPECT_TRUE(ParseFilter(Repeat("id=1 ", 256)));
  EXPECT_EQ(Read(Repeat("city = a OR ", 10'000) + "city = b"), "has more than 4096 bytes; ask in parts");
  EXPECT_EQ(Read("city = \"\xff\""), "is not UTF-8");
}

}  // namespace
}  // namespace muster
