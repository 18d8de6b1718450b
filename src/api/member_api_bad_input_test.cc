#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "api/testing/api_fixture.h"

namespace muster {
namespace {

using testing::BlamesField;
using ::testing::HasSubstr;
using testing::IsProblem;
using ::testing::Not;
using testing::Response;
using enum HttpMethod;

// Requests that nobody should send: each is answered with a clear problem, and none reaches a port.
class BadInputTest : public testing::ApiTest {
 protected:
  void TearDown() override {
    EXPECT_TRUE(writer_.TakeAsked().empty());
    EXPECT_TRUE(reader_->asked.empty());
  }
  Response Register(const std::string& body) { return Send({.method = kPost, .target = "/v1/members", .body = body}); }
};

TEST_F(BadInputTest, UnknownPaths) {
  for (const char* path :
       {"/", "/v1", "/v1/members/7/", "/v2/members/7", "/v1/members/7:freeze", "/console", "/openapi.yaml",
        "/admin/v1/callers", "/v1/members:searches", "/V1/members/7", "//v1/members/7", "/v1/members/7%00", "*"}) {
    for (const char* caller : {"", "writer"}) {
      const Response response = Send({.target = path, .caller = caller});
      EXPECT_GE(response.status, 400) << path;
      EXPECT_LT(response.status, 405) << path;
      EXPECT_EQ(response.content_type, "application/problem+json") << path;
    }
  }
  EXPECT_THAT(Send({.target = "/v1/nowhere"}), IsProblem(Reason::kNotFound));
  EXPECT_THAT(Send({.target = "/v1/members/%zz"}), IsProblem(Reason::kNotFound));
}

TEST_F(BadInputTest, WrongMethods) {
  const Response response = Send({.method = kDelete, .target = "/v1/members/7"});
  EXPECT_THAT(response, IsProblem(Reason::kMethodNotAllowed));
  EXPECT_EQ(response.Header("Allow"), "GET, HEAD, PATCH");
  EXPECT_EQ(Send({.method = kOther, .target = "/v1/members"}).Header("Allow"), "POST");
  EXPECT_EQ(Send({.method = kPut, .target = "/v1/members:resolve"}).Header("Allow"), "GET, HEAD");
}

TEST_F(BadInputTest, IdsThatAreNone) {
  for (const char* id :
       {"0", "-7", "abc", "7.0", "9223372036854775808", "99999999999999999999999999", "%2D7", "7%20", "0x7"}) {
    EXPECT_THAT(Send({.target = "/v1/members/" + std::string(id)}), BlamesField("id")) << id;
    EXPECT_THAT(Send({.method = kPatch, .target = "/v1/members/" + std::string(id), .body = "{}"}), BlamesField("id"))
        << id;
    EXPECT_THAT(Send({.method = kPost, .target = "/v1/members/" + std::string(id) + ":close"}), BlamesField("id"))
        << id;
  }
}

TEST_F(BadInputTest, BodiesThatAreNotJson) {
  using namespace std::string_literals;
  for (const std::string& body : {""s,
                                  " "s,
                                  "x"s,
                                  "{"s,
                                  "{}{}"s,
                                  "[]"s,
                                  "null"s,
                                  "1"s,
                                  "\"x\""s,
                                  "{\"city\":}"s,
                                  "{\"city\":\"\xff\"}"s,
                                  "{\"city\":\"a\0b\"}"s,
                                  "{\"city\":\"a\\u0000b\"}"s,
                                  "{\"city\":\"\\ud800\"}"s,
                                  "\xEF\xBB\xBF{}"s,
                                  "{\"city\":\"a\",\"city\":\"b\"}"s,
                                  "{\"city\":1}"s,
                                  "{\"cities\":[]}"s,
                                  "{\"id\":1e999}"s,
                                  std::string(100'000, '['),
                                  "{\"attributes\":" + std::string(40, '[') + std::string(40, ']') + "}"}) {
    const Response response = Register(body);
    EXPECT_THAT(response, IsProblem(Reason::kInvalidArgument)) << body.substr(0, 80);
    EXPECT_THAT(response.body, HasSubstr("\"errors\":[{\"field\":")) << body.substr(0, 80);
  }
}

TEST_F(BadInputTest, EveryBodyIsReadAsStrictly) {
  for (const char* target : {"/v1/members", "/v1/members:batchGet", "/v1/members:batchResolve", "/v1/members/7:bind",
                             "/v1/members/7:unbind", "/v1/members/7:close"}) {
    for (const char* body : {"[]", "{", "\xff", R"({"surprise":1})", "{}{}"}) {
      EXPECT_THAT(Send({.method = kPost, .target = target, .body = body}), IsProblem(Reason::kInvalidArgument))
          << target << body;
    }
  }
}

TEST_F(BadInputTest, IdentitiesThatAreNone) {
  const auto identity = [&](const std::string& text) { return Register("{\"identities\":[" + text + "]}"); };
  EXPECT_THAT(identity(R"({"kind":"fax","value":"1"})"), BlamesField("identities[0].kind"));
  EXPECT_THAT(identity(R"({"kind":"phone","value":"12"})"), BlamesField("identities[0].value"));
  EXPECT_THAT(identity(R"({"kind":"email","value":"nobody"})"), BlamesField("identities[0].value"));
  EXPECT_THAT(identity(R"({"kind":"phone","platform":"wechat","value":"+8613800000001"})"),
              BlamesField("identities[0].platform"));
  EXPECT_THAT(identity(R"({"kind":"unionid","value":"x"})"), BlamesField("identities[0].platform"));
}

TEST_F(BadInputTest, MaskedValuesAreNoIdentities) {
  const std::string masked = R"({"kind":"email","value":"z***@mask.example"})";
  EXPECT_THAT(Register("{\"identities\":[" + masked + "]}"), BlamesField("identities[0].value"));
  for (const char* target : {"/v1/members/7:bind", "/v1/members/7:unbind"}) {
    const Response response = Send({.method = kPost, .target = target, .body = "{\"identity\":" + masked + "}"});
    EXPECT_THAT(response, BlamesField("identity.value")) << target;
    EXPECT_THAT(response.body, HasSubstr("looks like a masked value"));
    EXPECT_THAT(response.body, Not(HasSubstr("z***")));
  }
  EXPECT_THAT(Send({.method = kGet, .target = "/v1/members:resolve?kind=email&value=z***@mask.example"}),
              BlamesField("value"));
}

TEST_F(BadInputTest, NoValueComesBackInAProblem) {
  for (const char* body : {R"({"identities":[{"kind":"phone","value":"CANARY"}]})", R"({"realName":["CANARY"]})",
                           R"({"CANARY-1":1})", R"({"identities":[{"kind":"email","value":"CANARY"},"CANARY"]})",
                           R"({"realName":"CANARY)", R"({"gender":"CANARY"})"}) {
    const Response response = Register(body);
    EXPECT_EQ(response.status, 400);
    EXPECT_THAT(response.body, Not(HasSubstr("CANARY"))) << body;
    EXPECT_THAT(logger_.lines.back().second, Not(HasSubstr("CANARY")));
  }
  for (const char* query :
       {"kind=phone&value=CANARY", "kind=CANARY&value=CANARY", "kind=email&value=CANARY", "CANARY-1=x",
        "kind=phone&value=CANARY&value=CANARY", "kind=phone&value=%00CANARY", "kind=phone&value=CANARY%"}) {
    const Response response = Send({.target = "/v1/members:resolve?" + std::string(query)});
    EXPECT_EQ(response.status, 400) << query;
    EXPECT_THAT(response.body, Not(HasSubstr("CANARY"))) << query;
    EXPECT_THAT(logger_.lines.back().second, Not(HasSubstr("CANARY")));
  }
}

TEST_F(BadInputTest, KeysNeverReachALog) {
  Send({.target = "/v1/members/7", .caller = "mk_secretsecret"});
  for (const auto& [level, line] : logger_.lines) EXPECT_THAT(line, Not(HasSubstr("secret")));
}

// Whatever arrives, the answer is a problem or a success, and there is exactly one.
RC_GTEST_FIXTURE_PROP(BadInputTest, AnyTargetIsAnswered, ()) {
  const auto pieces = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
      "/", "v1", "members", ":", "resolve", "batchGet", "history", "?", "&", "=", "%", "%2F", "%00", "kind", "value",
      "phone", "+86", "updateMask", "..", "livez", "admin", "callers", "\"", " "));
  std::string target = "/";
  for (const std::string& piece : pieces) target += piece;
  const auto method = *rc::gen::element(kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions, kOther);
  const Response response = Send({.method = method, .target = target});
  RC_ASSERT(response.status == 200 || (response.status >= 400 && response.status < 500));
}

}  // namespace
}  // namespace muster
