#include "topology/etcd/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace muster::etcd {
namespace {

using ::testing::HasSubstr;

// The vectors of RFC 4648.
TEST(EtcdMessages, Base64HasPadding) {
  EXPECT_EQ(ToBase64(""), "");
  EXPECT_EQ(ToBase64("f"), "Zg==");
  EXPECT_EQ(ToBase64("fo"), "Zm8=");
  EXPECT_EQ(ToBase64("foo"), "Zm9v");
  EXPECT_EQ(ToBase64("\xfb\xff"), "+/8=");
  for (const char* const no : {"Zg", "Zg=", "=Zg=", "Z===", "Zm9v====", "Z*9v"}) EXPECT_FALSE(FromBase64(no)) << no;
}

RC_GTEST_PROP(EtcdMessages, Base64GivesBackBytes, (const std::string& bytes)) {
  RC_ASSERT(FromBase64(ToBase64(bytes)) == bytes);
}

TEST(EtcdMessages, ARangeHasOneValueOrNone) {
  const auto found = ParseRange(
      R"({"header":{"revision":"9"},"kvs":[{"key":"aw==","create_revision":"2","mod_revision":"7","version":"3","value":"djE="}],"count":"1"})");
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->value, "v1");
  EXPECT_EQ((*found)->create_revision, 2);
  EXPECT_EQ((*found)->mod_revision, 7);
  EXPECT_EQ((*found)->version, 3);
  const auto none = ParseRange(R"({"header":{"revision":"9"}})");
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
}

TEST(EtcdMessages, WhatIsNotEtcdIsRefused) {
  for (const char* const text : {"", "<html>", "{}", "[]", R"({"header":{},"kvs":[{"value":"djE="}]})",
                                 R"({"header":{},"kvs":[{"mod_revision":"1","value":"%"}]})"}) {
    const auto parsed = ParseRange(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_THAT(parsed.error().message, HasSubstr("not etcd"));
  }
  EXPECT_FALSE(ParseSwap("{}"));
  EXPECT_FALSE(ParseSwap(R"({"header":{}})"));
  EXPECT_FALSE(ParseToken(R"({"header":{}})"));
}

TEST(EtcdMessages, ASwapIsDoneOrSaysWhatIsThere) {
  const auto done = ParseSwap(R"({"header":{},"succeeded":true,"responses":[{"response_put":{}}]})");
  ASSERT_TRUE(done);
  EXPECT_TRUE(done->is_done);
  const auto beaten = ParseSwap(
      R"({"header":{},"responses":[{"response_range":{"kvs":[{"mod_revision":"4","version":"2","value":"djE="}]}},{"response_range":{}}]})");
  ASSERT_TRUE(beaten) << beaten.error().message;
  EXPECT_FALSE(beaten->is_done);
  EXPECT_EQ(beaten->current->mod_revision, 4);
  EXPECT_FALSE(beaten->author);
}

TEST(EtcdMessages, ARequestIsWhatTheGatewayReads) {
  EXPECT_EQ(RangeRequest("k"), R"({"key":"aw=="})");
  EXPECT_EQ(WatchRequest("k"), R"({"create_request":{"key":"aw=="}})");
  EXPECT_EQ(
      SwapRequest({.key = "k", .mod_revision = 0, .value = "v1", .author_key = "a", .author = "x"}),
      R"({"compare":[{"key":"aw==","target":"MOD","result":"EQUAL","mod_revision":"0"}],)"
      R"("success":[{"request_put":{"key":"aw==","value":"djE="}},{"request_put":{"key":"YQ==","value":"eA=="}}],)"
      R"("failure":[{"request_range":{"key":"aw=="}},{"request_range":{"key":"YQ=="}}]})");
}

TEST(EtcdMessages, ARefusalHasACode) {
  const auto refusal = ParseRefusal(R"({"error":"no","message":"no","code":7})");
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->code, 7);
  EXPECT_EQ(refusal->text, "no");
  EXPECT_FALSE(ParseRefusal("404 page not found"));
}

}  // namespace
}  // namespace muster::etcd
