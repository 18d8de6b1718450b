#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/admin_api.h"
#include "api/idempotency.h"
#include "api/member_api.h"
#include "api/testing/fake_directory.h"
#include "api/testing/test_exchange.h"
#include "base/random.h"
#include "base/testing/recording_logger.h"

namespace muster::testing {

// Both handlers on fakes. Callers: "reader" sees masked values, "clear" sees personal ones, "writer" writes and sees
// them, "importer" may import and export, "admin" may do everything.
class ApiTest : public ::testing::Test {
 protected:
  ApiTest() {
    using enum Scope;
    callers_.Add("reader", {kMembersRead});
    callers_.Add("clear", {kMembersRead, kPersonalRead});
    callers_.Add("writer", {kMembersRead, kMembersWrite, kPersonalRead});
    callers_.Add("importer", {kMembersWrite, kMembersImport, kPersonalRead});
    callers_.Add("admin", {kMembersRead, kMembersWrite, kPersonalRead, kMembersImport, kAdmin});
    auto reader = std::make_unique<StubReader>();
    reader_ = reader.get();
    members_ = MakeMemberApi(loop_, std::move(reader), Dependencies());
    admin_ = MakeAdminApi(loop_, Dependencies(), {.ranges = &ranges_, .routes = [this] { return routes_; }});
  }

  ApiDependencies Dependencies() {
    return {.writer = &writer_,
            .merger = &writer_,
            .archive = &archive_,
            .callers = &callers_,
            .catalog = &catalog_,
            .keyring = &keyring_,
            .clock = &clock_,
            .random = &random_,
            .logger = &logger_,
            .metrics = &metrics_,
            .keys_under_way = &keys_under_way_,
            .readiness = [this] { return checks_; },
            .server = [] { return ServerInfo{"1.2.3", "A", 5, "127.0.0.1:7402", "127.0.0.1:7401"}; }};
  }

  struct Request {
    HttpMethod method = HttpMethod::kGet;
    std::string target;
    std::string body = {};
    std::string caller = "writer";  // empty: no key
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::size_t hold_max = SIZE_MAX;
    bool crowded = false;
  };

  // Gives the request to a handler; its answer may come later.
  std::shared_ptr<Response> Begin(HttpHandler& handler, const Request& request) {
    auto response = std::make_shared<Response>();
    response->hold_max = request.hold_max;
    std::vector<HttpHeader> headers;
    const std::string authorization = "Bearer " + request.caller;
    if (!request.caller.empty()) headers.push_back({"Authorization", authorization});
    for (const auto& [name, value] : request.headers) headers.push_back({name, value});
    // Views that must not be used after Handle: the text goes away with this function.
    const auto target = std::make_unique<std::string>(request.target);
    const auto body = std::make_unique<std::string>(request.body);
    const std::string_view all(*target);
    const std::size_t question = all.find('?');
    HttpRequest http;
    http.method = request.method;
    http.target = all;
    http.path = all.substr(0, question);
    http.query = question == std::string_view::npos ? std::string_view() : all.substr(question + 1);
    http.headers = headers;
    http.body = *body;
    http.crowded = request.crowded;
    handler.Handle(http, HttpExchange(*new TestSink(loop_, response), {}));
    return response;
  }
  Response Await(const std::shared_ptr<Response>& response) {
    loop_.RunUntil([&] { return response->answered || response->abandoned; });
    EXPECT_FALSE(response->abandoned);
    EXPECT_NE(response->Header("Request-Id"), "");
    return *response;
  }
  Response Send(const Request& request) { return Await(Begin(*members_, request)); }
  Response SendAdmin(Request request) {
    if (request.caller == "writer") request.caller = "admin";
    return Await(Begin(*admin_, request));
  }

  // The one write that reached the writer.
  StubWriter::Asked TheWrite() {
    std::vector<StubWriter::Asked> asked = writer_.TakeAsked();
    EXPECT_EQ(asked.size(), 1u);
    return asked.empty() ? StubWriter::Asked{} : asked[0];
  }

  // Li Lei, id 7, version 3, a phone and a unionid.
  Member LiLei() {
    Member member;
    member.id = MemberId(7);
    member.version = Version(3);
    member.display_name = "Lei";
    member.real_name = Pii<std::string>("Li Lei");
    member.create_time = member.update_time = clock_.Now();
    member.identities = {IdentityOf("phone", "", "+8613800000001"), IdentityOf("unionid", "wechat", "oA1b2")};
    return member;
  }
  Identity IdentityOf(const std::string& kind, const std::string& platform, const std::string& value) {
    Identity identity;
    identity.kind = kind;
    identity.platform = platform;
    identity.value = Pii<std::string>(value);
    identity.key = KeyedHash(keyring_.hash_key()).KeyOf(kind, platform, value);
    identity.bind_time = clock_.Now();
    return identity;
  }

  SeededRandom random_{1};
  ManualClock clock_;
  Keyring keyring_ = Keyring::Generate(random_);
  IdentityCatalog catalog_ = IdentityCatalog::Default();
  FakeImportRanges ranges_;
  RecordingLogger logger_;
  MetricRegistry metrics_;
  KeysUnderWay keys_under_way_;
  FakeArchive archive_;
  FakeCallers callers_;
  std::vector<ReadinessCheck> checks_ = {{"store", true, ""}};
  Result<RouteDescription> routes_;
  StubReader* reader_ = nullptr;
  TestLoop loop_;
  StubWriter writer_;
  std::unique_ptr<HttpHandler> members_;
  std::unique_ptr<HttpHandler> admin_;
};

// A problem of that code, with the status of the code and the request's id in it.
MATCHER_P(IsProblem, reason, "") {
  const ReasonDescription& row = DescribeReason(reason);
  const auto has = [&](const std::string& text) { return arg.body.find(text) != std::string::npos; };
  return arg.status == row.http_status && arg.content_type == "application/problem+json" &&
         has("\"code\":\"" + std::string(row.code) + "\"") && has("\"status\":" + std::to_string(row.http_status)) &&
         has("\"requestId\":\"" + arg.Header("Request-Id") + "\"");
}
// The same of INVALID_ARGUMENT, blaming `field`.
MATCHER_P(BlamesField, field, "") {
  return arg.status == 400 && arg.content_type == "application/problem+json" &&
         arg.body.find("\"errors\":[{\"field\":\"" + std::string(field) + "\"") != std::string::npos;
}

}  // namespace muster::testing
