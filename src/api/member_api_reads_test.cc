#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/testing/api_fixture.h"

namespace muster {
namespace {

using ::testing::AllOf;
using testing::BlamesField;
using ::testing::HasSubstr;
using testing::IsProblem;
using ::testing::Not;
using testing::Response;
using enum HttpMethod;

class MemberReadsTest : public testing::ApiTest {
 protected:
  MemberReadsTest() { reader_->Put(LiLei()); }
  Response Get(const std::string& target, std::vector<std::pair<std::string, std::string>> headers = {}) {
    return Send({.target = target, .caller = "clear", .headers = std::move(headers)});
  }
};

TEST_F(MemberReadsTest, NeedsAKnownCallerWithTheScope) {
  const Response anonymous = Send({.target = "/v1/members/7", .caller = ""});
  EXPECT_THAT(anonymous, IsProblem(Reason::kUnauthenticated));
  EXPECT_THAT(anonymous.Header("WWW-Authenticate"), HasSubstr("Bearer"));
  EXPECT_THAT(Send({.target = "/v1/members/7", .caller = "stranger"}), IsProblem(Reason::kUnauthenticated));
  for (const char* target :
       {"/v1/members/7", "/v1/members:resolve?kind=phone&value=+8613800000001", "/v1/members/7/history"}) {
    EXPECT_THAT(Send({.target = target, .caller = "importer"}), IsProblem(Reason::kPermissionDenied)) << target;
  }
  for (const char* target : {"/v1/members:batchGet", "/v1/members:batchResolve"}) {
    EXPECT_THAT(Send({.method = kPost, .target = target, .body = "{}", .caller = "importer"}),
                IsProblem(Reason::kPermissionDenied));
  }
  EXPECT_TRUE(reader_->asked.empty());
}

TEST_F(MemberReadsTest, SaysThatNobodyIsThere) {
  EXPECT_THAT(Get("/v1/members/8"), IsProblem(Reason::kMemberNotFound));
  EXPECT_THAT(Get("/v1/members:resolve?kind=phone&value=+8613800000009"), IsProblem(Reason::kIdentityNotFound));
}

TEST_F(MemberReadsTest, PassesOnWhyNoSourceAnswers) {
  for (const Reason reason : {Reason::kStale, Reason::kDeadlineExceeded, Reason::kOverloaded, Reason::kInternal}) {
    reader_->failure = Error{.reason = reason, .message = "m", .retry_after_ms = 2500};
    const Response response = Get("/v1/members/7");
    EXPECT_THAT(response, IsProblem(reason));
    EXPECT_EQ(response.Header("Retry-After"), response.status == 503 ? "3" : "");
  }
}

TEST_F(MemberReadsTest, FailuresWithinABatchAreLoggedOnce) {
  reader_->failure = Error{.reason = Reason::kInternal, .message = "a row cannot be read"};
  const std::size_t before = logger_.lines.size();
  const Response got =
      Send({.method = kPost, .target = "/v1/members:batchGet", .body = R"({"ids":["7","8"]})", .caller = "clear"});
  EXPECT_EQ(got.status, 200);
  EXPECT_THAT(got.body, HasSubstr(R"("code":"INTERNAL")"));
  const auto is_error = [](const auto& line) { return line.second.find("a row cannot be read") != std::string::npos; };
  EXPECT_EQ(
      std::ranges::count_if(logger_.lines.begin() + static_cast<std::ptrdiff_t>(before), logger_.lines.end(), is_error),
      1);
}

TEST_F(MemberReadsTest, AnswersTheMember) {
  reader_->age = std::chrono::milliseconds(12);
  const Response response = Get("/v1/members/7");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.content_type, "application/json");
  EXPECT_EQ(response.body, MakeMemberDocument(LiLei())->json());
  EXPECT_EQ(response.Header("ETag"), "\"3\"");
  EXPECT_EQ(response.Header("X-Muster-Source"), "near");
  EXPECT_EQ(response.Header("X-Muster-Age-Ms"), "12");
  EXPECT_EQ(response.Header("Vary"), "Authorization");
  EXPECT_EQ(reader_->asked.at(0).id, MemberId(7));
  EXPECT_EQ(reader_->asked.at(0).options.min_version, Version(0));
  EXPECT_FALSE(reader_->asked.at(0).options.no_cache);
}

TEST_F(MemberReadsTest, ThatThereIsNobodyHasAnAgeToo) {
  reader_->source = Source::kReplica;
  reader_->age = std::chrono::seconds(3);
  for (const char* target : {"/v1/members/8", "/v1/members:resolve?kind=phone&value=%2B8613800000009"}) {
    const Response response = Get(target);
    EXPECT_EQ(response.status, 404) << target;
    EXPECT_EQ(response.Header("X-Muster-Source"), "replica") << target;
    EXPECT_EQ(response.Header("X-Muster-Age-Ms"), "3000") << target;
  }
}

TEST_F(MemberReadsTest, ABatchIsAsOldAsTheOldestOfItsAnswers) {
  reader_->origins[8] = {Source::kReplica, std::chrono::milliseconds(40)};
  const auto batch = [&](const char* ids) {
    return Send({.method = kPost, .target = "/v1/members:batchGet", .body = ids, .caller = "reader"});
  };
  Response response = batch(R"({"ids":["7","8","7"]})");
  EXPECT_EQ(response.Header("X-Muster-Source"), "replica");
  EXPECT_EQ(response.Header("X-Muster-Age-Ms"), "40");
  response = batch(R"({"ids":[]})");
  EXPECT_EQ(response.Header("X-Muster-Source"), "");
}

TEST_F(MemberReadsTest, AnswersWhenTheSourceIsNotQuick) {
  reader_->later = &loop_;
  EXPECT_EQ(Get("/v1/members/7", {{"If-None-Match", "\"3\""}}).status, 304);
  EXPECT_EQ(Get("/v1/members/7").status, 200);
}

TEST_F(MemberReadsTest, MasksPersonalValuesWithoutTheScope) {
  for (const char* target : {"/v1/members/7", "/v1/members:resolve?kind=phone&value=+8613800000001"}) {
    const Response masked = Send({.target = target, .caller = "reader"});
    EXPECT_THAT(masked.body, AllOf(HasSubstr("+86138****0001"), Not(HasSubstr("+8613800000001")),
                                   Not(HasSubstr("Li Lei")), Not(HasSubstr("oA1b2"))));
    EXPECT_THAT(Get(target).body, AllOf(HasSubstr("+8613800000001"), HasSubstr("Li Lei"), HasSubstr("oA1b2")));
  }
  const Response batch =
      Send({.method = kPost, .target = "/v1/members:batchGet", .body = R"({"ids":["7"]})", .caller = "reader"});
  EXPECT_THAT(batch.body, Not(HasSubstr("+8613800000001")));
}

TEST_F(MemberReadsTest, ResolvesAnySpelling) {
  for (const char* query : {"kind=phone&value=+8613800000001", "kind=phone&value=%2B8613800000001",
                            "kind=phone&value=%2B86%20138%200000%200001", "value=13800000001&kind=phone",
                            "kind=phone&value=+86+138+0000+0001", "kind=phone&value=%2B86+138+0000+0001",
                            "kind=unionid&platform=wechat&value=oA1b2"}) {
    const Response response = Get("/v1/members:resolve?" + std::string(query));
    EXPECT_EQ(response.status, 200) << query << response.body;
    EXPECT_EQ(response.Header("ETag"), "\"3\"");
  }
  EXPECT_EQ(Get("/v1/members%3Aresolve?kind=phone&value=+8613800000001").status, 200);
}

TEST_F(MemberReadsTest, ChecksWhatItResolves) {
  const auto resolve = [&](const std::string& query) { return Get("/v1/members:resolve?" + query); };
  EXPECT_THAT(resolve(""), BlamesField("kind"));
  EXPECT_THAT(resolve("kind=phone"), BlamesField("value"));
  EXPECT_THAT(resolve("kind=phone&value=12"), BlamesField("value"));
  EXPECT_THAT(resolve("kind=fax&value=12"), BlamesField("kind"));
  EXPECT_THAT(resolve("kind=unionid&value=x"), BlamesField("platform"));
  EXPECT_THAT(resolve("kind=phone&platform=wechat&value=+8613800000001"), BlamesField("platform"));
  EXPECT_THAT(resolve("kind=phone&value=%zz"), BlamesField("value"));
  EXPECT_THAT(resolve("kind=email&value=a%00@b.co"), BlamesField("value"));
  EXPECT_THAT(resolve("kind=phone&value=1&value=2"), BlamesField("value"));
  EXPECT_THAT(resolve("kind=phone&number=1"), BlamesField("number"));
  EXPECT_THAT(resolve("kind=phone&value=+8613800000001&minVersion=-1"), BlamesField("minVersion"));
  EXPECT_TRUE(reader_->asked.empty());
}

TEST_F(MemberReadsTest, PassesOnWhatTheCallerDemands) {
  Get("/v1/members/7?minVersion=9", {{"Cache-Control", "max-age=0, no-cache"}, {"X-Request-Timeout-Ms", "250"}});
  const ReadOptions options = reader_->asked.at(0).options;
  EXPECT_EQ(options.min_version, Version(9));
  EXPECT_TRUE(options.no_cache);
  EXPECT_EQ(options.deadline.at(), clock_.Monotonic() + std::chrono::milliseconds(250));
  EXPECT_THAT(Get("/v1/members/7", {{"X-Request-Timeout-Ms", "0"}}), BlamesField("X-Request-Timeout-Ms"));
  EXPECT_THAT(Get("/v1/members/7?minversion=9"), BlamesField("minversion"));
}

TEST_F(MemberReadsTest, SparesACallerWhatItHas) {
  for (const char* tags : {"\"3\"", "W/\"3\"", "\"1\", \"3\"", "*"}) {
    const Response response = Get("/v1/members/7", {{"If-None-Match", tags}});
    EXPECT_EQ(response.status, 304) << tags;
    EXPECT_EQ(response.body, "");
    EXPECT_EQ(response.content_type, "");
    EXPECT_EQ(response.Header("ETag"), "\"3\"");
  }
  EXPECT_EQ(Get("/v1/members/7", {{"If-None-Match", "\"2\""}}).status, 200);
  EXPECT_EQ(Get("/v1/members/7").status, 200) << "the condition of the request before is forgotten";
  // Somebody else may hold an identity by now, whose version may be the same.
  EXPECT_EQ(Get("/v1/members:resolve?kind=phone&value=+8613800000001", {{"If-None-Match", "\"3\""}}).status, 200);
  EXPECT_THAT(Get("/v1/members/8", {{"If-None-Match", "*"}}), IsProblem(Reason::kMemberNotFound));
}

TEST_F(MemberReadsTest, EveryAnswerHasARequestId) {
  EXPECT_EQ(Get("/v1/members/7", {{"Request-Id", "order-17.a_B"}}).Header("Request-Id"), "order-17.a_B");
  const std::string first = Get("/v1/members/7").Header("Request-Id");
  const std::string second = Get("/v1/members/7", {{"Request-Id", "not an id"}}).Header("Request-Id");
  EXPECT_NE(first, second);
  EXPECT_THAT(second, Not(HasSubstr(" ")));
  EXPECT_EQ(Get("/nowhere", {{"Request-Id", "r1"}}).Header("Request-Id"), "r1");
}

TEST_F(MemberReadsTest, CarriesTheTraceThrough) {
  constexpr const char* kTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  EXPECT_EQ(Get("/v1/members/7", {{"traceparent", kTrace}}).Header("traceparent"), kTrace);
  EXPECT_THAT(logger_.lines.back().second, HasSubstr("trace_id=4bf92f3577b34da6a3ce929d0e0e4736"));
  EXPECT_EQ(Get("/v1/members/7", {{"traceparent", "00-bad"}}).Header("traceparent"), "");
  EXPECT_THAT(logger_.lines.back().second, Not(HasSubstr("4bf92f")));
}

TEST_F(MemberReadsTest, BatchesAnswerEveryKeyInItsPlace) {
  for (EventLoop* later : {static_cast<EventLoop*>(nullptr), static_cast<EventLoop*>(&loop_)}) {
    reader_->later = later;
    const Response got =
        Send({.method = kPost, .target = "/v1/members:batchGet", .body = R"({"ids":["8","7",7]})", .caller = "clear"});
    const std::string member(MakeMemberDocument(LiLei())->json());
    const std::string missing =
        R"({"error":{"code":"MEMBER_NOT_FOUND","detail":"no member has this id","retryable":false}})";
    EXPECT_EQ(got.body, "{\"results\":[" + missing + ",{\"member\":" + member + "},{\"member\":" + member + "}]}");

    const Response resolved =
        Send({.method = kPost,
              .target = "/v1/members:batchResolve",
              .body = R"({"identities":[{"kind":"phone","value":"12"},{"kind":"phone","value":"+8613800000001"},
                                               {"kind":"email","value":"a@b.co"}]})",
              .caller = "clear"});
    EXPECT_EQ(resolved.status, 200);
    EXPECT_THAT(resolved.body, HasSubstr(R"({"results":[{"error":{"code":"INVALID_ARGUMENT")"));
    EXPECT_THAT(resolved.body, HasSubstr(R"("field":"identities[0].value")"));
    EXPECT_THAT(resolved.body, HasSubstr("},{\"member\":" + member + "},{\"error\":{\"code\":\"IDENTITY_NOT_FOUND\""));
  }
}

TEST_F(MemberReadsTest, BatchesMayBeEmptyAndAreBounded) {
  const auto batch = [&](const std::string& body, const std::string& verb = "batchGet") {
    return Send({.method = kPost, .target = "/v1/members:" + verb, .body = body});
  };
  EXPECT_EQ(batch(R"({"ids":[]})").body, R"({"results":[]})");
  EXPECT_EQ(batch("{}", "batchResolve").body, R"({"results":[]})");
  std::string ids = R"({"ids":[1)";
  for (int i = 0; i < 999; ++i) ids += ",1";
  EXPECT_EQ(batch(ids + "]}").status, 200);
  EXPECT_EQ(reader_->asked.size(), 1000u);
  EXPECT_THAT(batch(ids + ",1]}"), BlamesField("ids"));
  EXPECT_THAT(batch(R"({"ids":[-1]})"), BlamesField("ids[0]"));
  EXPECT_THAT(batch(R"({"id":[1]})"), BlamesField("id"));
  EXPECT_THAT(batch(""), IsProblem(Reason::kInvalidArgument));
}

TEST_F(MemberReadsTest, BatchesUnderWayAreBoundedTogether) {
  reader_->later = &loop_;
  std::string ids = R"({"ids":[1)";
  for (int i = 0; i < 999; ++i) ids += ",1";
  std::vector<std::shared_ptr<Response>> responses;
  for (int i = 0; i < 300; ++i) {
    responses.push_back(Begin(*members_, {.method = kPost, .target = "/v1/members:batchGet", .body = ids + "]}"}));
  }
  int refused = 0;
  for (const auto& response : responses) {
    const Response answer = Await(response);
    if (answer.status == 200) continue;
    EXPECT_THAT(answer, IsProblem(Reason::kOverloaded));
    ++refused;
  }
  EXPECT_EQ(refused, 300 - (64 << 20) / (1000 * 256));
}

TEST_F(MemberReadsTest, OneFailureOfABatchIsItsOwn) {
  reader_->failure = Error{.reason = Reason::kStale, .message = "m"};
  const Response response = Send({.method = kPost, .target = "/v1/members:batchGet", .body = R"({"ids":["7"]})"});
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, HasSubstr(R"({"error":{"code":"STALE","detail":"m","retryable":true}})"));
}

TEST_F(MemberReadsTest, PagesThroughAHistory) {
  for (int version = 1; version <= 5; ++version) {
    archive_.changes.push_back({.member_id = MemberId(7),
                                .version = Version(version),
                                .type = version == 1 ? ChangeType::kRegistered : ChangeType::kUpdated,
                                .time = clock_.Now(),
                                .caller = "orders",
                                .request_id = "r" + std::to_string(version),
                                .fields = {"city"},
                                .identities = {}});
  }
  archive_.changes[3].identities = {{"phone", "", {}}};
  std::string seen;
  std::string token;
  do {
    const Response page = Get("/v1/members/7/history?pageSize=2&pageToken=" + token);
    ASSERT_EQ(page.status, 200) << page.body;
    for (int version = 5; version >= 1; --version) {
      if (page.body.find("\"version\":\"" + std::to_string(version) + "\"") != std::string::npos)
        seen += std::to_string(version);
    }
    const std::size_t at = page.body.find("\"nextPageToken\":\"") + 17;
    token = page.body.substr(at, page.body.find('"', at) - at);
    if (!token.empty()) {
      EXPECT_THAT(Send({.target = "/v1/members/7/history?pageToken=" + token, .caller = "reader"}),
                  BlamesField("pageToken"));
      EXPECT_THAT(Get("/v1/members/8/history?pageToken=" + token), BlamesField("pageToken"));
    }
  } while (!token.empty());
  EXPECT_EQ(seen, "54321");
  const Response all = Get("/v1/members/7/history");
  EXPECT_THAT(all.body,
              HasSubstr(R"({"version":"4","type":"UPDATED","changeTime":"2023-11-14T22:13:20Z","caller":"orders",)"
                        R"("requestId":"r4","fields":["city"],"identities":[{"kind":"phone"}]})"));
  EXPECT_THAT(all.body, HasSubstr(R"("nextPageToken":"")"));
}

TEST_F(MemberReadsTest, ChecksHistoryPages) {
  EXPECT_THAT(Get("/v1/members/8/history"), IsProblem(Reason::kMemberNotFound));
  EXPECT_THAT(Get("/v1/members/7/history?pageSize=-1"), BlamesField("pageSize"));
  EXPECT_THAT(Get("/v1/members/7/history?pageSize=x"), BlamesField("pageSize"));
  EXPECT_THAT(Get("/v1/members/7/history?pageToken=x"), BlamesField("pageToken"));
  EXPECT_THAT(Get("/v1/members/7/history?page=1"), BlamesField("page"));
  archive_.failure = Error{.reason = Reason::kInternal, .message = "disk"};
  EXPECT_THAT(Get("/v1/members/7/history"), IsProblem(Reason::kInternal));
}

TEST_F(MemberReadsTest, DescribesTheServer) {
  EXPECT_EQ(
      Get("/v1/server").body,
      R"({"version":"1.2.3","center":"A","epoch":"5","adminAddress":"127.0.0.1:7402","grpcAddress":"127.0.0.1:7401"})");
  EXPECT_THAT(Send({.target = "/v1/server", .caller = ""}), IsProblem(Reason::kUnauthenticated));
}

TEST_F(MemberReadsTest, ProbesNeedNoKey) {
  for (auto* handler : {members_.get(), admin_.get()}) {
    const auto probe = [&](const std::string& target) {
      return Await(Begin(*handler, {.target = target, .caller = ""}));
    };
    EXPECT_EQ(probe("/livez").status, 200);
    EXPECT_EQ(probe("/readyz").body, "ready\n");
    EXPECT_EQ(probe("/readyz?verbose").body, "[+] store: ok\nready\n");
    checks_ = {{"store", false, "the disk is full"}, {"topology", true, ""}};
    const Response failing = probe("/readyz?verbose");
    EXPECT_EQ(failing.status, 503);
    EXPECT_EQ(failing.body, "[-] store: the disk is full\n[+] topology: ok\nnot ready\n");
    EXPECT_EQ(failing.Header("Retry-After"), "1");
    EXPECT_EQ(probe("/readyz").body, "[-] store: the disk is full\nnot ready\n");
    EXPECT_EQ(probe("/livez").status, 200);
    checks_ = {{"store", true, ""}};
    const Response metrics = probe("/metrics");
    EXPECT_THAT(metrics.content_type, HasSubstr("version=0.0.4"));
    EXPECT_THAT(metrics.body, HasSubstr("muster_api_requests_total{code=\"OK\",rpc=\"Ready\"}"));
    EXPECT_THAT(metrics.body, HasSubstr("muster_api_requests_total{code=\"OVERLOADED\",rpc=\"Ready\"}"));
    EXPECT_THAT(metrics.body, HasSubstr("muster_api_request_seconds_count{rpc=\"Live\"}"));
  }
}

}  // namespace
}  // namespace muster
