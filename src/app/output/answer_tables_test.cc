#include "app/output/answer_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster {
namespace {

using ::testing::HasSubstr;

TEST(AnswerTablesTest, AMemberIsAListOfWhatItHas) {
  const auto text =
      RenderMember({}, R"({"id":"7","state":"ACTIVE","displayName":"李雷","tags":["a","b"],"attributes":{"k":"v"},
      "identities":[{"kind":"phone","value":"+86138****0001","verified":true,"state":"BOUND"},
                    {"kind":"unionid","platform":"wechat","value":"o1","state":"QUARANTINED","source":"app"}],"version":"3"})");
  EXPECT_EQ(text.value(),
            "id            7\n"
            "state         ACTIVE\n"
            "display name  李雷\n"
            "tags          a, b\n"
            "attributes    k=v\n"
            "identities    phone=+86138****0001, verified\n"
            "              unionid@wechat=o1, quarantined, from app\n"
            "version       3\n");
}

TEST(AnswerTablesTest, HistoryIsATable) {
  const auto text = RenderHistory(
      {}, R"({"changes":[{"version":"2","type":"UPDATED","changeTime":"2026-01-02T03:04:05Z","caller":"orders",
      "requestId":"r-1","fields":["city","tier"]},{"version":"1","type":"REGISTERED","changeTime":"2026-01-01T00:00:00Z","caller":"app",
      "requestId":"r-0","identities":[{"kind":"phone"},{"kind":"unionid","platform":"wechat"}]}],"nextPageToken":""})");
  EXPECT_THAT(text.value(),
              HasSubstr("      2  UPDATED     2026-01-02T03:04:05Z  orders  city, tier             r-1\n"));
  EXPECT_THAT(text.value(),
              HasSubstr("      1  REGISTERED  2026-01-01T00:00:00Z  app     phone, unionid@wechat  r-0\n"));
}

TEST(AnswerTablesTest, AnAnswerSaysWhereItGoesOn) {
  EXPECT_EQ(NextPageToken(R"({"changes":[],"nextPageToken":"aB-1"})"), "aB-1");
  EXPECT_EQ(NextPageToken(R"({"changes":[],"nextPageToken":""})"), "");
  EXPECT_EQ(NextPageToken("[]"), "");
}

TEST(AnswerTablesTest, CallersShowKeyIdsAndStates) {
  const auto text = RenderCallers(
      {}, R"({"callers":[{"name":"orders","purpose":"order path","scopes":["members.read"],"disabled":true,
      "keys":[{"id":"aB","expireTime":"2026-01-02T00:00:00Z"},{"id":"cD"}]}]})");
  EXPECT_THAT(
      text.value(),
      HasSubstr("orders  disabled  members.read  optional         aB until 2026-01-02T00:00:00Z, cD  order path\n"));
}

TEST(AnswerTablesTest, CallersShowWhetherTheyNeedIdempotencyKeys) {
  const std::string caller = R"({"name":"orders","scopes":["members.write"],"keys":[],"idempotencyKeyRequired":true})";
  EXPECT_THAT(RenderCallers({}, "{\"callers\":[" + caller + "]}").value(), HasSubstr("members.write  required"));
  EXPECT_THAT(RenderCaller({}, caller).value(), HasSubstr("idempotency key  required\n"));
}

TEST(AnswerTablesTest, RoutesAreATree) {
  const auto text = RenderRoutes({}, R"json({"name":"cache(near)","policy":"keeps","counters":{"hits":"7"},"children":[
      {"name":"a","policy":"p","counters":{},"children":[]},{"name":"b","policy":"q","children":[{"name":"c","policy":"r"}]}]})json");
  EXPECT_EQ(text.value(), "cache(near)  hits 7\n  keeps\n├─ a\n│    p\n└─ b\n     q\n   └─ c\n        r\n");
}

TEST(AnswerTablesTest, AnswersOfSomethingElseAreFailuresNotCrashes) {
  for (const char* text : {"", "[]", "<html>", "{\"tags\":[1]}", "{\"attributes\":{\"a\":1}}"}) {
    EXPECT_FALSE(RenderMember({}, text)) << text;
  }
  EXPECT_FALSE(RenderCallers({}, R"({"callers":[{"scopes":[{}]}]})"));
  EXPECT_TRUE(RenderHistory({}, "{}"));
}

}  // namespace
}  // namespace muster
