#include "bench/http_request.h"

#include <gtest/gtest.h>

#include <array>

namespace muster::http_request_test {
namespace {

std::string Written(const LoadCall& call, std::string_view key = "mk_key") {
  std::string out;
  HttpRequestWriter("127.0.0.1:7400", key).Append(out, call);
  return out;
}

constexpr std::array kIds = {MemberId(42), MemberId(INT64_MAX)};

TEST(HttpRequestTest, Get) {
  EXPECT_EQ(Written({.verb = LoadVerb::kGet, .ids = kIds}),
            "GET /v1/members/42 HTTP/1.1\r\nHost: 127.0.0.1:7400\r\nAuthorization: Bearer mk_key\r\n\r\n");
  EXPECT_EQ(Written({.verb = LoadVerb::kGet, .ids = kIds}, ""),
            "GET /v1/members/42 HTTP/1.1\r\nHost: 127.0.0.1:7400\r\n\r\n");
}

TEST(HttpRequestTest, ResolveEscapes) {
  const auto target = [](std::string_view kind, std::string_view platform, std::string_view value) {
    const std::string written =
        Written({.verb = LoadVerb::kResolve, .identity = {.kind = kind, .platform = platform, .value = Pii(value)}});
    return written.substr(0, written.find(" HTTP"));
  };
  EXPECT_EQ(target("phone", "", "+8613800000001"), "GET /v1/members:resolve?kind=phone&value=%2B8613800000001");
  EXPECT_EQ(target("account", "shop", "a b&c=é%"),
            "GET /v1/members:resolve?kind=account&platform=shop&value=a%20b%26c%3D%C3%A9%25");
}

TEST(HttpRequestTest, BodiesHaveTheirLength) {
  EXPECT_EQ(Written({.verb = LoadVerb::kUpdate, .ids = kIds, .city = "Suzhou"}),
            "PATCH /v1/members/42?updateMask=city HTTP/1.1\r\nHost: 127.0.0.1:7400\r\nAuthorization: Bearer "
            "mk_key\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"city\":\"Suzhou\"}");
  EXPECT_TRUE(Written({.verb = LoadVerb::kBatchGet, .ids = kIds})
                  .ends_with("Content-Length: 36\r\n\r\n{\"ids\":[\"42\",\"9223372036854775807\"]}"));
  EXPECT_TRUE(Written({.verb = LoadVerb::kRegister, .city = "Leeds", .account = "1-2"})
                  .ends_with("\r\n\r\n{\"displayName\":\"Benchmark\",\"city\":\"Leeds\",\"identities\":[{\"kind\":"
                             "\"account\",\"platform\":\"bench\",\"value\":\"1-2\"}]}"));
}

TEST(HttpRequestTest, SearchesBindingsAndMerges) {
  const std::array identities = {IdentityView{.kind = "phone", .platform = "", .value = Pii<std::string_view>("+86 1")},
                                 IdentityView{"openid", "wechat", Pii<std::string_view>("o\"1")}};
  EXPECT_TRUE(Written({.verb = LoadVerb::kBatchResolve, .identities = identities})
                  .ends_with(R"({"identities":[{"kind":"phone","value":"+86 1"},)"
                             R"({"kind":"openid","platform":"wechat","value":"o\"1"}]})"));
  EXPECT_TRUE(Written({.verb = LoadVerb::kSearch, .city = "New York"})
                  .ends_with("\r\n\r\n"
                             R"({"filter":"city = \"New York\"","pageSize":50})"));
  const std::string bind = Written({.verb = LoadVerb::kBind, .ids = kIds, .account = "1-b2"});
  EXPECT_TRUE(bind.starts_with("POST /v1/members/42:bind HTTP/1.1\r\n"));
  EXPECT_TRUE(bind.ends_with(R"({"identity":{"kind":"account","platform":"bench","value":"1-b2"}})"));
  EXPECT_TRUE(Written({.verb = LoadVerb::kUnbind, .ids = kIds}).starts_with("POST /v1/members/42:unbind HTTP"));
  const std::string merge = Written({.verb = LoadVerb::kMerge, .ids = kIds});
  EXPECT_TRUE(merge.starts_with("POST /v1/members/42:merge HTTP/1.1\r\n"));
  EXPECT_TRUE(merge.ends_with(R"({"sourceId":"9223372036854775807"})"));
  EXPECT_TRUE(Written({.verb = LoadVerb::kUnmerge, .ids = kIds}).starts_with("POST /v1/members/42:unmerge HTTP"));
}

TEST(HttpRequestTest, RequestsFollowEachOther) {
  std::string out;
  const HttpRequestWriter writer("h", "");
  writer.Append(out, {.verb = LoadVerb::kGet, .ids = kIds});
  writer.Append(out, {.verb = LoadVerb::kGet, .ids = kIds});
  EXPECT_EQ(out, "GET /v1/members/42 HTTP/1.1\r\nHost: h\r\n\r\nGET /v1/members/42 HTTP/1.1\r\nHost: h\r\n\r\n");
}

}  // namespace
}  // namespace muster::http_request_test
