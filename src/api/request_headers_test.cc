#include "api/request_headers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(RequestHeadersTest, FindsNamesInAnyCase) {
  const std::vector<HttpHeader> headers = {{"AUTHORIZATION", "Bearer x"}, {"Content-type", "application/json"},
                                           {"if-match", "\"1\""},         {"If-None-Match", "\"2\""},
                                           {"REQUEST-id", "r"},           {"TraceParent", "t"},
                                           {"X-Request-Timeout-MS", "5"}, {"Host", "h"},
                                           {"Accept-Encoding", "gzip"}};
  const RequestHeaders found = RequestHeaders::Scan(headers);
  EXPECT_EQ(found.authorization, "Bearer x");
  EXPECT_EQ(found.content_type, "application/json");
  EXPECT_EQ(found.if_none_match, "\"2\"");
  EXPECT_EQ(found.request_id, "r");
  EXPECT_EQ(found.trace_parent, "t");
  EXPECT_EQ(found.timeout_ms, "5");
  EXPECT_FALSE(found.no_cache);
}

TEST(RequestHeadersTest, FindsNoCacheAnywhereInTheList) {
  const auto no_cache = [](std::vector<HttpHeader> headers) { return RequestHeaders::Scan(headers).no_cache; };
  EXPECT_TRUE(no_cache({{"cache-control", "no-cache"}}));
  EXPECT_TRUE(no_cache({{"Cache-Control", "max-age=0, No-Cache"}}));
  EXPECT_TRUE(no_cache({{"Cache-Control", "no-store , no-cache=\"x\" ,max-age=1"}}));
  EXPECT_TRUE(no_cache({{"Cache-Control", "no-store"}, {"Cache-Control", "no-cache"}}));
  EXPECT_FALSE(no_cache({{"Cache-Control", "no-cacheable, x-no-cache, max-age=0"}}));
  EXPECT_FALSE(no_cache({{"Cache-Control", ""}}));
}

TEST(ParseTimeoutTest, KeepsToItsBounds) {
  EXPECT_EQ(ParseTimeout("1").value(), std::chrono::milliseconds(1));
  EXPECT_EQ(ParseTimeout("600000").value(), std::chrono::minutes(10));
  for (const char* text : {"0", "600001", "-1", "1s", "1.5", "99999999999999999999"}) {
    const auto timeout = ParseTimeout(text);
    ASSERT_FALSE(timeout) << text;
    EXPECT_EQ(timeout.error().reason, Reason::kInvalidArgument);
  }
}

TEST(RequestIdTest, IsAShortWord) {
  EXPECT_TRUE(IsRequestId("a"));
  EXPECT_TRUE(IsRequestId("Order-17_b.c"));
  EXPECT_TRUE(IsRequestId(std::string(64, 'x')));
  for (const std::string& text : {std::string(), std::string(65, 'x'), std::string("a b"), std::string("a\"b"),
                                  std::string("a\r\nb"), std::string("\xc3\xa9"), std::string("a/b")}) {
    EXPECT_FALSE(IsRequestId(text)) << text;
  }
}

TEST(TraceParentTest, FollowsTheRecommendation) {
  constexpr std::string_view kValid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  EXPECT_EQ(ValidTraceParent(kValid), kValid);
  EXPECT_EQ(TraceIdOf(kValid), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(ValidTraceParent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings"),
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  for (const char* text :
       {"", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",  // the first version has no more fields
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",    // forbidden version
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",    // no trace
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",    // no parent
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",    // capitals
        "00-4bf92f3577b34da6a3ce929d0e0e473\r-00f067aa0ba902b7-01",   // not hexadecimal
        "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x"}) {
    EXPECT_EQ(ValidTraceParent(text), "") << text;
    EXPECT_EQ(TraceIdOf(ValidTraceParent(text)), "");
  }
}

TEST(NamesVersionTest, ComparesWeaklyOverLists) {
  const Version version(3);
  for (const char* text : {"\"3\"", "W/\"3\"", "*", " * ", "\"1\", \"3\"", "\"1\",W/\"3\" , \"5\"", "\"a,b\", \"3\""}) {
    EXPECT_TRUE(NamesVersion(text, version)) << text;
  }
  for (const char* text : {"", "\"4\"", "3", "\"3", "w/\"3\"", "\"13\"", "\"3\"x", "\"1\" \"3\"", "\"03\"", ","}) {
    EXPECT_FALSE(NamesVersion(text, version)) << text;
  }
}

Result<VersionCondition> ParseIfMatch(const std::vector<std::string_view>& lines) {
  std::vector<HttpHeader> headers = {{"Host", "test"}};
  for (const std::string_view line : lines) headers.push_back({"If-match", line});
  return muster::ParseIfMatch(headers);
}

TEST(ParseIfMatchTest, RefusesWhatIsNoList) {
  for (const char* text : {"", " ", "3", "\"3", "\"3\" \"4\"", "\"3\"x", "*, \"3\"", "W/3", ","}) {
    const auto condition = ParseIfMatch({text});
    ASSERT_FALSE(condition) << text;
    EXPECT_EQ(condition.error().reason, Reason::kInvalidArgument);
    EXPECT_FALSE(ParseIfMatch({"\"3\"", text})) << text;
    EXPECT_FALSE(ParseIfMatch({text, "\"3\""})) << text;
  }
  EXPECT_FALSE(ParseIfMatch({"*", "\"3\""}));
  EXPECT_FALSE(ParseIfMatch({"\"3\"", "*"}));
  EXPECT_FALSE(ParseIfMatch({"*", "*"}));
}

TEST(ParseIfMatchTest, AsksNothingWhenAbsentOrAStar) {
  EXPECT_TRUE(ParseIfMatch({})->any);
  EXPECT_TRUE(ParseIfMatch({"*"})->any);
  EXPECT_TRUE(ParseIfMatch({" * "})->any);
}

TEST(ParseIfMatchTest, KeepsOnlyTagsThatCanMatchStrongly) {
  EXPECT_THAT(ParseIfMatch({"\"3\""})->versions, ElementsAre(Version(3)));
  EXPECT_THAT(ParseIfMatch({"\"3\" ,\"5\""})->versions, ElementsAre(Version(3), Version(5)));
  EXPECT_THAT(ParseIfMatch({"\"3\"", "\"5\", \"7\""})->versions, ElementsAre(Version(3), Version(5), Version(7)));
  EXPECT_THAT(ParseIfMatch({"W/\"3\", \"abc\", \"0\", \"\", \"03\""})->versions, IsEmpty());
  EXPECT_FALSE(ParseIfMatch({"W/\"3\""})->any);
}

TEST(CheckContentTypeTest, TakesUtf8AndNothingElse) {
  const auto check = [](std::string_view type) { return CheckContentType(type, {"application/json"}); };
  for (const char* type :
       {"", "application/json", "Application/JSON", "application/json;charset=utf-8",
        "application/json ; charset=UTF-8", "application/json; charset=\"utf-8\"", "application/json;"}) {
    EXPECT_TRUE(check(type)) << type;
  }
  for (const char* type : {"text/plain", "application/jsonx", "application/json; charset=latin1",
                           "application/x-www-form-urlencoded", "application/json, text/plain", "json",
                           "application/merge-patch+json", "application/json; charset=utf-8; x=y"}) {
    const auto result = check(type);
    ASSERT_FALSE(result) << type;
    EXPECT_EQ(result.error().reason, Reason::kUnsupportedMediaType);
  }
}

}  // namespace
}  // namespace muster
