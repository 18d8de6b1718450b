#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "api/admin_api.h"
#include "api/http_server.h"
#include "api/idempotency.h"
#include "api/member_api.h"
#include "api/testing/http_client.h"
#include "domain/id_allocator.h"
#include "store/binding.h"
#include "store/sqlite_test_support.h"
#include "topology/topology.h"

// Both ports of a real server on a real store, over loopback.

namespace muster {
namespace {

using ::testing::HasSubstr;
using testing::HttpClient;
using ::testing::Not;

class ApiServerTest : public ::testing::Test {
 protected:
  ApiServerTest() : harness_({.durable = false}) {
    EXPECT_TRUE(harness_.Open());
    const BindingDependencies binding{&harness_.store->shards(), &harness_.catalog, &ids_, &clock_, &timer_};
    writer_ = MakeBindingWriter(binding);
    merger_ = MakeBindingMerger(binding);
    topology_ = OpenTopologyFile(harness_.directory.path() + "/topology.json").value();
    callers_ = MakeCallerDirectory(*topology_, harness_.keyring, clock_, harness_.random);
    EXPECT_TRUE(callers_->EnsureAdmin([this](const std::string& key) -> Result<void> {
      key_ = key;
      return {};
    }));
    const HttpServerOptions options{.listen = "127.0.0.1:0", .threads = 2, .drain_timeout_ms = 2'000};
    const ApiDependencies dependencies = Dependencies();
    const auto members = [&](EventLoop& loop) -> Result<std::unique_ptr<HttpHandler>> {
      MUSTER_ASSIGN(auto reader, harness_.store->MakeReader(loop));
      return MakeMemberApi(loop, std::move(reader), dependencies);
    };
    const auto admin = [&](EventLoop& loop) -> Result<std::unique_ptr<HttpHandler>> {
      return MakeAdminApi(loop, dependencies,
                          {.ranges = &harness_.store->import_ranges(), .routes = [] { return RouteDescription{}; }});
    };
    http_ = HttpServer::Start(options, members, clock_, NullLogger(), *harness_.metrics, "http").value();
    admin_ = HttpServer::Start(options, admin, clock_, NullLogger(), *harness_.metrics, "admin").value();
  }

  ApiDependencies Dependencies() {
    return {.writer = writer_.get(),
            .merger = merger_.get(),
            .archive = &harness_.store->archive(),
            .callers = callers_.get(),
            .catalog = &harness_.catalog,
            .keyring = &harness_.keyring,
            .clock = &clock_,
            .random = &harness_.random,
            .logger = &NullLogger(),
            .metrics = harness_.metrics.get(),
            .keys_under_way = &keys_under_way_,
            .readiness = [] { return std::vector<ReadinessCheck>{{"store", true, ""}}; },
            .server = [] { return ServerInfo{.version = "test"}; }};
  }
  static std::string IdOf(const HttpClient::Answer& answer) {
    const std::string location = answer.Header("Location");
    return location.substr(location.rfind('/') + 1);
  }
  static std::string Phone(int number) {
    return R"({"kind":"phone","value":"+86138)" + std::to_string(10'000'000 + number) + "\"}";
  }

  SystemClock clock_;
  ThreadTimer timer_;
  KeysUnderWay keys_under_way_;
  testing::StoreHarness harness_;
  IdAllocator ids_{clock_, 0, 0};
  std::unique_ptr<MemberWriter> writer_;
  std::unique_ptr<MemberMerger> merger_;
  std::unique_ptr<TopologyStore> topology_;
  std::unique_ptr<CallerDirectory> callers_;
  std::string key_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<HttpServer> admin_;
};

TEST_F(ApiServerTest, AMemberFromRegistrationToClosing) {
  HttpClient client(http_->address(), key_);
  const auto made = client.Send("POST", "/v1/members", R"({"displayName":"Lei","identities":[)" + Phone(1) + "]}");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.Header("ETag"), "\"1\"");
  const std::string path = "/v1/members/" + IdOf(made);
  EXPECT_EQ(client.Send("GET", path).body, made.body);
  EXPECT_EQ(client.Send("GET", "/v1/members:resolve?kind=phone&value=+8613810000001").body, made.body);
  EXPECT_EQ(client.Send("HEAD", path).Header("ETag"), "\"1\"");
  EXPECT_EQ(client.Send("GET", path, {}, {{"If-None-Match", "\"1\""}}).status, 304);

  EXPECT_EQ(client.Send("PATCH", path + "?updateMask=city", R"({"city":"Wuxi"})", {{"If-Match", "\"9\""}}).status, 412);
  const auto patched =
      client.Send("PATCH", path + "?updateMask=city", R"({"city":"Wuxi"})", {{"If-Match", "\"8\", \"1\""}});
  ASSERT_EQ(patched.status, 200) << patched.body;
  EXPECT_EQ(patched.Header("ETag"), "\"2\"");
  EXPECT_THAT(patched.body, HasSubstr("\"city\":\"Wuxi\""));

  const std::string second = "{\"identity\":" + Phone(2) + "}";
  EXPECT_EQ(client.Send("POST", path + ":bind", second).Header("ETag"), "\"3\"");
  EXPECT_EQ(client.Send("POST", path + ":bind", second).Header("ETag"), "\"3\"") << "held already: nothing changes";
  const auto other = client.Send("POST", "/v1/members", "{}");
  const auto taken = client.Send("POST", "/v1/members/" + IdOf(other) + ":bind", second);
  EXPECT_EQ(taken.status, 409);
  EXPECT_THAT(taken.body, HasSubstr("IDENTITY_TAKEN"));
  EXPECT_EQ(client.Send("POST", path + ":unbind", second).Header("ETag"), "\"4\"");
  EXPECT_EQ(client.Send("POST", path + ":unbind", second).status, 404);

  const auto history = client.Send("GET", path + "/history?pageSize=3");
  EXPECT_THAT(history.body, HasSubstr(R"({"changes":[{"version":"4","type":"IDENTITY_UNBOUND")"));
  EXPECT_THAT(history.body, Not(HasSubstr(R"("nextPageToken":"")")));

  const auto closed = client.Send("POST", path + ":close", "{}");
  EXPECT_THAT(closed.body, HasSubstr("\"state\":\"CLOSED\""));
  EXPECT_EQ(client.Send("POST", path + ":bind", second).status, 409);
  EXPECT_EQ(client.Send("GET", "/v1/members:resolve?kind=phone&value=+8613810000001").status, 404);
  EXPECT_THAT(client.Send("GET", path).body, Not(HasSubstr("identities")));
}

TEST_F(ApiServerTest, PipelinedRequestsAreAnsweredInTheirOrder) {
  HttpClient client(http_->address(), key_);
  std::string requests;
  for (int i = 0; i < 50; ++i) {
    const std::string body = i % 2 == 0 ? R"({"displayName":"n)" + std::to_string(i) + "\"}" : "";
    requests += (i % 2 == 0 ? "POST /v1/members" : "GET /v1/members/" + std::to_string(i)) +
                std::string(" HTTP/1.1\r\nHost: t\r\n") + "Authorization: Bearer " + key_ + "\r\nRequest-Id: r" +
                std::to_string(i) + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  client.SendRaw(requests);
  for (int i = 0; i < 50; ++i) {
    const auto answer = client.Receive();
    EXPECT_EQ(answer.status, i % 2 == 0 ? 201 : 404);
    EXPECT_EQ(answer.Header("Request-Id"), "r" + std::to_string(i));
  }
}

TEST_F(ApiServerTest, OneOfManyGetsAnIdentity) {
  constexpr int kClients = 8;
  constexpr int kPhones = 25;
  std::vector<std::thread> threads;
  std::atomic<int> made = 0;
  std::atomic<int> taken = 0;
  for (int i = 0; i < kClients; ++i) {
    threads.emplace_back([&] {
      HttpClient client(http_->address(), key_);
      for (int phone = 0; phone < kPhones; ++phone) {
        const auto answer = client.Send("POST", "/v1/members", "{\"identities\":[" + Phone(phone) + "]}");
        if (answer.status == 201) ++made;
        if (answer.status == 409) ++taken;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made, kPhones);
  EXPECT_EQ(taken, (kClients - 1) * kPhones);
}

TEST_F(ApiServerTest, AnImportSentAgainChangesNothing) {
  HttpClient client(admin_->address(), key_);
  const auto reserved = client.Send("POST", "/admin/v1/imports:reserve", R"({"lines":1000})");
  ASSERT_EQ(reserved.status, 200) << reserved.body;
  const std::string start = reserved.body.substr(15, reserved.body.size() - 17);
  std::string lines;
  for (int i = 0; i < 1000; ++i) {
    lines += i == 499 ? "broken\n" : R"({"displayName":"n","identities":[)" + Phone(i == 999 ? 0 : i) + "]}\n";
  }
  const std::string target = "/admin/v1/members:import?rangeStart=" + start;
  const auto first = client.Send("POST", target, lines);
  EXPECT_THAT(
      first.body,
      HasSubstr(R"({"imported":998,"alreadyIn":0,"rejected":2,"results":[{"line":500,"code":"INVALID_ARGUMENT")"));
  EXPECT_THAT(first.body, HasSubstr(R"({"line":1000,"code":"IDENTITY_TAKEN")"));
  std::string after = "0";
  std::string exported;
  while (true) {
    const auto page = client.Send("GET", "/admin/v1/members:export?limit=300&after=" + after);
    ASSERT_EQ(page.status, 200) << page.body;
    if (page.body.empty()) break;
    exported += page.body;
    const std::size_t last = page.body.rfind("{\"id\":\"") + 7;
    after = page.body.substr(last, page.body.find('"', last) - last);
  }
  EXPECT_EQ(std::ranges::count(exported, '\n'), 998);

  std::string second = first.body;
  second.replace(second.find("\"alreadyIn\":0"), 13, "\"alreadyIn\":998");
  EXPECT_EQ(client.Send("POST", target, lines).body, second);
  EXPECT_EQ(client.Send("GET", "/admin/v1/members:export?limit=300&after=" + after).body, "");

  // What export gave is what import reads: the same members, elsewhere known already.
  const auto again = client.Send("POST", target, exported);
  EXPECT_THAT(again.body, HasSubstr("\"imported\":"));
  EXPECT_THAT(again.body, Not(HasSubstr("INVALID_ARGUMENT")));
}

TEST_F(ApiServerTest, WhatTheServerRefusesIsAProblemToo) {
  HttpClient malformed(http_->address(), key_);
  malformed.SendRaw("GET /v1/members/1 HTTP/1.1\r\nHost: t\r\nbad header\r\n\r\n");
  const auto refused = malformed.Receive();
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.Header("Content-Type"), "application/problem+json");
  EXPECT_THAT(refused.body, HasSubstr("\"code\":\"INVALID_ARGUMENT\""));

  HttpClient large(http_->address(), key_);
  large.SendRaw("POST /v1/members HTTP/1.1\r\nHost: t\r\nContent-Length: 1048577\r\n\r\n");
  const auto too_large = large.Receive();
  EXPECT_EQ(too_large.status, 413);
  EXPECT_THAT(too_large.body, HasSubstr("\"code\":\"BODY_TOO_LARGE\""));
}

TEST_F(ApiServerTest, DrainsWithWritesUnderWay) {
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 16; ++i) {
    clients.push_back(std::make_unique<HttpClient>(http_->address(), key_));
    clients.back()->SendRaw("POST /v1/members HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer " + key_ +
                            "\r\nContent-Length: 2\r\n\r\n{}");
  }
  http_->Drain();
  http_.reset();
  // Every one is either answered in full, or was not read at all.
  for (const auto& client : clients) {
    const int status = client->Receive().status;
    EXPECT_TRUE(status == 201 || status == 0) << status;
  }
}

}  // namespace
}  // namespace muster
