#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "api/http_server_test_base.h"

namespace muster {
namespace {

class HttpServerLimitsTest : public HttpServerTest {
 protected:
  // The client is told `status`, then the connection ends in order.
  void ExpectRefusal(HttpTestClient& client, int status) {
    const auto answer = client.Receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, status);
    EXPECT_EQ(answer->fields.at("Connection"), "close");
    EXPECT_EQ(answer->fields.at("Content-Type"), "application/problem+json");
    EXPECT_THAT(answer->body, testing::StartsWith(std::to_string(status) + ": "));
    EXPECT_TRUE(client.AwaitEnd());
    EXPECT_FALSE(client.was_reset());
  }
};

TEST_F(HttpServerLimitsTest, WhatCannotBeServedIsRefusedByStatus) {
  options_.target_bytes_max = 200;
  options_.header_bytes_max = 1024;
  options_.body_bytes_max = 1000;
  Start();
  const std::vector<std::pair<std::string, int>> requests = {
      {"nonsense\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {Post("/", std::string(1001, 'x')), 413},
      {"POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n", 413},
      {"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n", 413},
      {"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400},
      {Get("/" + std::string(200, 'x')), 414},
      {Get("/", "Expect: miracles\r\n"), 417},
      {Get("/", "X: " + std::string(1024, 'x') + "\r\n"), 431},
      {Get("/", "Transfer-Encoding: gzip\r\n"), 501},
      {"GET / HTTP/2.0\r\n\r\n", 505},
  };
  for (const auto& [request, status] : requests) {
    SCOPED_TRACE(request.substr(0, 60));
    HttpTestClient client = Connect();
    client.Send(Get("/hold") + Get("/before") + request);
    Release("/hold");
    EXPECT_EQ(client.Receive()->body, "released /hold");
    EXPECT_EQ(client.Receive()->body, "GET /before ");
    ExpectRefusal(client, status);
  }
}

// A reset would discard the answer in the client's socket, so the server goes on reading for a while.
TEST_F(HttpServerLimitsTest, AClientThatIsStillSendingSeesItsRefusal) {
  options_.body_bytes_max = 1000;
  Start();
  HttpTestClient client = Connect();
  client.Send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 8000000\r\n\r\n" + std::string(8'000'000, 'x'));
  client.EndSending();
  ExpectRefusal(client, 413);
  Await([&] { return OpenConnections() == 0; }, "the connection is still open");
}

TEST_F(HttpServerLimitsTest, AClientThatNeverStopsSendingIsCutOff) {
  Start();
  HttpTestClient endless = Connect();
  endless.Send("nonsense\r\n");
  EXPECT_EQ(endless.Receive()->status, 400);
  const std::string more(100'000, 'x');
  Await(
      [&] {
        endless.SendSome(more);
        return OpenConnections() == 0;
      },
      "an endless sender is still being read");

  HttpTestClient silent = Connect();
  silent.Send("nonsense\r\n");
  EXPECT_EQ(silent.Receive()->status, 400);
  AwaitInTime([&] { return OpenConnections() == 0; }, "a silent client is still being waited for");
}

TEST_F(HttpServerLimitsTest, ASlowHeadIsTimedFromItsFirstByte) {
  options_.header_timeout_ms = 1000;
  options_.idle_timeout_ms = 1'000'000;
  Start();
  HttpTestClient client = Connect();
  client.Send(Get("/x"));
  EXPECT_EQ(client.Receive()->status, 200);
  // A byte now and then does not help.
  const std::string head = "GET /slow HTTP/1.1\r\nX: " + std::string(10'000, 'x');
  std::size_t sent = 0;
  AwaitInTime(
      [&] {
        if (sent < head.size()) sent += client.SendSome(std::string_view(head).substr(sent, 1));
        return Metric("muster_http_requests_total{class=\"4xx\"") == 1;
      },
      "a slow head is still being waited for");
  ExpectRefusal(client, 408);
}

TEST_F(HttpServerLimitsTest, ASlowBodyIsTimed) {
  options_.body_timeout_ms = 1000;
  options_.idle_timeout_ms = 1'000'000;
  Start();
  for (const std::string framing : {"Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\na\r\nabc"}) {
    HttpTestClient client = Connect();
    client.Send("POST / HTTP/1.1\r\nHost: test\r\n" + framing);
    const double before = Metric("muster_http_requests_total{class=\"4xx\"");
    AwaitInTime([&] { return Metric("muster_http_requests_total{class=\"4xx\"") > before; }, framing);
    ExpectRefusal(client, 408);
  }
}

TEST_F(HttpServerLimitsTest, AnIdleConnectionEndsWithoutAnAnswer) {
  options_.idle_timeout_ms = 1000;
  options_.header_timeout_ms = 1'000'000;
  Start();
  HttpTestClient fresh = Connect();
  HttpTestClient used = Connect();
  used.Send(Get("/x"));
  EXPECT_EQ(used.Receive()->status, 200);
  HttpTestClient busy = Connect();
  busy.Send(Get("/hold"));
  AwaitHeld("/hold");
  AwaitInTime([&] { return OpenConnections() == 1; }, "idle connections are still open");
  EXPECT_TRUE(fresh.AwaitEnd());
  EXPECT_TRUE(used.AwaitEnd());
  // One whose request is under way is not idle.
  Release("/hold");
  EXPECT_EQ(busy.Receive()->body, "released /hold");
  AwaitInTime([&] { return OpenConnections() == 0; }, "the third is still open");
}

TEST_F(HttpServerLimitsTest, AClientThatTakesNothingIsCutOff) {
  options_.write_timeout_ms = 1000;
  options_.idle_timeout_ms = 1'000'000;
  Start();
  HttpTestClient client = Connect(4096);
  client.Send(Get("/big?20000000"));
  AwaitInTime([&] { return OpenConnections() == 0; }, "a client that reads nothing is still being waited for");
}

TEST_F(HttpServerLimitsTest, ConnectionsAboveTheBoundAreToldSo) {
  options_.connections_max = 3;
  Start();
  std::vector<std::unique_ptr<HttpTestClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<HttpTestClient>(server_->address()));
    clients.back()->Send(Get("/x"));
    EXPECT_EQ(clients.back()->Receive()->status, 200);
  }
  {
    HttpTestClient refused = Connect();
    const auto answer = refused.Receive();
    EXPECT_EQ(answer->status, 503);
    EXPECT_EQ(answer->fields.at("Connection"), "close");
    refused.Send(Get("/x"));
    EXPECT_TRUE(refused.AwaitEnd());
  }
  EXPECT_EQ(Metric("muster_http_connections_refused_total"), 1);
  clients.pop_back();
  Await([&] { return OpenConnections() == 2; }, "the room was not given back");
  HttpTestClient next = Connect();
  next.Send(Get("/x"));
  EXPECT_EQ(next.Receive()->status, 200);
}

TEST_F(HttpServerLimitsTest, FarMoreConnectionsThanTheBoundAreClosed) {
  options_.connections_max = 1;
  Start();
  HttpTestClient first = Connect();
  first.Send(Get("/x"));
  EXPECT_EQ(first.Receive()->status, 200);
  // Each refused one stays a while for its client to read the answer, but not any number of them.
  std::vector<std::unique_ptr<HttpTestClient>> clients;
  for (int i = 0; i < 400; ++i) clients.push_back(std::make_unique<HttpTestClient>(server_->address()));
  Await([&] { return Metric("muster_http_connections_refused_total") == 400; }, "not all were refused");
  int told = 0;
  for (const auto& client : clients) told += client->Receive().has_value() ? 1 : 0;
  EXPECT_GE(told, 128);
  EXPECT_LT(told, 400);
  first.Send(Get("/x"));
  EXPECT_EQ(first.Receive()->status, 200);
}

TEST_F(HttpServerLimitsTest, ARejectedHeadHasNoBodyAndItsRequestIsKnown) {
  options_.body_bytes_max = 1000;
  options_.body_timeout_ms = 1000;
  options_.idle_timeout_ms = 1'000'000;
  Start();
  {
    HttpTestClient client = Connect();
    client.Send("HEAD / HTTP/1.1\r\nHost: test\r\nExpect: miracles\r\n\r\n");
    EXPECT_EQ(client.Receive(true)->status, 417);
    EXPECT_TRUE(client.AwaitEnd());
  }
  // The handler is given the request's own headers, not those of another connection, however far it had come.
  const std::string post = "POST / HTTP/1.1\r\nHost: test\r\nRequest-Id: mine\r\n";
  HttpTestClient other = Connect();
  const auto other_request = [&] {
    other.Send(Get("/x", "Request-Id: other\r\n"));
    EXPECT_EQ(other.Receive()->status, 200);
  };
  const auto rejected = [&](const std::string& begin, const std::string& rest) {
    HttpTestClient client = Connect();
    const double before = Metric("muster_http_received_bytes_total");
    const double refused = Metric("muster_http_requests_total{class=\"4xx\"");
    client.Send(begin);
    AwaitReceived(static_cast<std::size_t>(before) + begin.size());
    other_request();
    client.Send(rest);
    if (rest.empty()) {
      AwaitInTime([&] { return Metric("muster_http_requests_total{class=\"4xx\"") > refused; }, begin);
    }
    const auto answer = client.Receive();
    return answer ? answer->body : "nothing";
  };
  EXPECT_THAT(rejected(post, "Content-Length: 1001\r\n\r\n"), testing::EndsWith(" mine"));
  EXPECT_THAT(rejected(post, "Transfer-Encoding: gzip\r\n\r\n"), testing::EndsWith(" mine"));
  EXPECT_THAT(rejected(post + "Transfer-Encoding: chunked\r\n\r\n", "x\r\n"), testing::EndsWith(" mine"));
  EXPECT_THAT(rejected(post + "Transfer-Encoding: chunked\r\n\r\n", ""), testing::EndsWith(" mine"));
  EXPECT_THAT(rejected(post + "Content-Length: 10\r\n\r\n", ""), testing::EndsWith(" mine"));
  EXPECT_THAT(rejected(post, "broken\r\n"), testing::EndsWith(" ")) << "headers are not known before all were read";
}

TEST_F(HttpServerLimitsTest, AllConnectionsTogetherHoldBoundedBytes) {
  options_.buffer_bytes_max = 4 << 20;
  options_.output_bytes_max = 1 << 20;
  Start();
  // Answers that wait for one before them, together nearly as many bytes as large answers may take: half of the bound.
  HttpTestClient waiting = Connect();
  waiting.Send(Get("/hold") + Get("/big?1000000") + Get("/big?900000"));
  AwaitHeld("/hold");
  Await([&] { return handled().size() == 3; }, "the answers are not there");
  HttpTestClient other = Connect();
  other.Send(Get("/big?300000"));
  EXPECT_EQ(other.Receive()->status, 503);
  other.Send(Get("/big?3000000"));
  EXPECT_EQ(other.Receive()->status, 400) << "more than would ever fit";
  other.Send(Get("/small"));
  EXPECT_EQ(other.Receive()->body, "GET /small ");

  // Requests fill the rest. A large one is not waited for beyond the bound, small ones are.
  std::vector<std::unique_ptr<HttpTestClient>> halves;
  const auto begin = [&](std::size_t bytes) {
    halves.push_back(std::make_unique<HttpTestClient>(server_->address()));
    const std::string request = Post("/half", std::string(bytes, 'x'));
    const auto before = static_cast<std::size_t>(Metric("muster_http_received_bytes_total"));
    halves.back()->Send(request.substr(0, request.size() - 1));
    AwaitReceived(before + request.size() - 1);
  };
  begin(1'000'000);
  begin(1'000'000);
  HttpTestClient large = Connect();
  large.Send(Post("/half", std::string(1'000'000, 'x')).substr(0, 900'000));
  ExpectRefusal(large, 503);
  for (int i = 0; i < 30; ++i) begin(15'000);
  // Nothing more is taken up, and everybody is told so.
  other.Send(Get("/small"));
  EXPECT_EQ(other.Receive()->status, 503);

  // The room comes back.
  Release("/hold");
  EXPECT_EQ(waiting.Receive()->body, "released /hold");
  EXPECT_EQ(waiting.Receive()->body.size(), 1'000'000U);
  EXPECT_EQ(waiting.Receive()->body.size(), 900'000U);
  other.Send(Get("/small"));
  EXPECT_EQ(other.Receive()->status, 200);
  halves.front()->Send("x");
  EXPECT_EQ(halves.front()->Receive()->status, 200);
}

TEST_F(HttpServerLimitsTest, WithoutDescriptorsClientsAreClosedAndServiceGoesOn) {
  Start();
  HttpTestClient before = Connect();
  before.Send(Get("/x"));
  EXPECT_EQ(before.Receive()->status, 200);
  std::vector<std::unique_ptr<HttpTestClient>> clients;
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  // Sockets of the clients are in this process, too: they take the last descriptors, and the server finds none.
  const int next = dup(0);
  close(next);
  const rlimit low{.rlim_cur = static_cast<rlim_t>(next) + 1, .rlim_max = limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  {
    HttpTestClient unlucky = Connect();
    EXPECT_TRUE(unlucky.AwaitEnd());
  }
  before.Send(Get("/x"));
  EXPECT_EQ(before.Receive()->status, 200);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(Metric("muster_http_connections_refused_total"), 1);
  HttpTestClient after = Connect();
  after.Send(Get("/x"));
  EXPECT_EQ(after.Receive()->status, 200);
}

// A sanitizer keeps freed memory for a while.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kMemoryIsOurs = false;
#else
constexpr bool kMemoryIsOurs = true;
#endif

// Resident, without what is mapped from files.
std::size_t AnonymousBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stoul(line.substr(8)) * 1024;
  }
  ADD_FAILURE() << "no RssAnon in /proc/self/status";
  return 0;
}

TEST_F(HttpServerLimitsTest, AnIdleConnectionCostsLessThan8KiB) {
  constexpr int kConnections = 2000;
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 2 * kConnections + 200);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  Start();
  std::vector<std::unique_ptr<HttpTestClient>> clients;
  clients.reserve(kConnections);
  std::size_t before = 0;
  for (int i = 0; i < kConnections + 1; ++i) {
    clients.push_back(std::make_unique<HttpTestClient>(server_->address()));
    // Used once, in several pieces, so that every buffer a connection ever needs has been there.
    const std::string request = Post("/big?9000", std::string(3000, 'x'));
    clients.back()->Send(request.substr(0, 1500));
    clients.back()->Send(request.substr(1500));
    ASSERT_EQ(clients.back()->Receive()->status, 200);
    if (i == 0) before = AnonymousBytes();
  }
  ASSERT_EQ(OpenConnections(), kConnections + 1);
  const std::size_t each = (AnonymousBytes() - before) / kConnections;
  RecordProperty("bytes_per_idle_connection", static_cast<int>(each));
  // The client's own part of it is a few hundred bytes.
  if (kMemoryIsOurs) EXPECT_LT(each, 8U << 10);
  clients.clear();
  Await([&] { return OpenConnections() == 0; }, "connections are still open");
}

// The beginning of the next request does not keep the memory of the one before.
TEST_F(HttpServerLimitsTest, TheRestOfALargeRequestCostsLittle) {
  constexpr int kConnections = 64;
  Start();
  std::vector<std::unique_ptr<HttpTestClient>> clients;
  const auto begin_next = [&](const std::string& large) {
    clients.push_back(std::make_unique<HttpTestClient>(server_->address()));
    clients.back()->Send(large + Get("/next").substr(0, 24));
    ASSERT_TRUE(clients.back()->Receive());
  };
  const std::string body(1'000'000, 'x');
  const std::string chunked =
      "POST /drop HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nf4240\r\n" + body + "\r\n0\r\n\r\n";
  begin_next(Post("/drop", body));
  begin_next(chunked);
  const std::size_t before = AnonymousBytes();
  for (int i = 0; i < kConnections; ++i) begin_next(i % 2 == 0 ? Post("/drop", body) : chunked);
  if (kMemoryIsOurs) EXPECT_LT(AnonymousBytes() - before, 16U << 20);
  for (const auto& client : clients) {
    client->Send(Get("/next").substr(24));
    EXPECT_EQ(client->Receive()->body, "GET /next ");
  }
}

}  // namespace
}  // namespace muster
