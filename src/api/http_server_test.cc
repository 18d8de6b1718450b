#include "api/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <latch>
#include <string>
#include <vector>

#include "api/http_server_test_base.h"

namespace muster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(HttpServerTest, AnswersOneRequestAfterTheOther) {
  Start();
  HttpTestClient client = Connect();
  for (int i = 0; i < 3; ++i) {
    client.Send(Get("/a?b=" + std::to_string(i)));
    const auto answer = client.Receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "GET /a?b=" + std::to_string(i) + " ");
    EXPECT_THAT(answer->fields,
                testing::UnorderedElementsAre(testing::Pair("Date", HasSubstr(" GMT")),
                                              testing::Pair("Content-Type", "text/plain"),
                                              testing::Pair("Content-Length", std::to_string(answer->body.size()))));
  }
}

TEST_F(HttpServerTest, AnswersAPipelineInItsOrderWhateverTheOrderOfAnswers) {
  Start();
  HttpTestClient client = Connect();
  client.Send(Get("/hold/1") + Get("/2") + Get("/hold/3") + Get("/4") + Get("/hold/5"));
  AwaitHeld("/hold/5");
  Release("/hold/5");
  Release("/hold/3");
  Release("/hold/1");
  std::vector<std::string> bodies;
  for (int i = 0; i < 5; ++i) bodies.push_back(client.Receive()->body);
  EXPECT_THAT(bodies, ElementsAre("released /hold/1", "GET /2 ", "released /hold/3", "GET /4 ", "released /hold/5"));
}

TEST_F(HttpServerTest, ReadsRequestsThatArriveByteByByte) {
  Start();
  HttpTestClient client = Connect();
  const std::string chunked =
      "POST /chunked HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
      "4\r\nchun\r\n3;x=y\r\nked\r\n0\r\nT: u\r\n\r\n";
  for (const char byte : Get("/first") + Post("/second", "two") + chunked) client.Send(std::string_view(&byte, 1));
  EXPECT_EQ(client.Receive()->body, "GET /first ");
  EXPECT_EQ(client.Receive()->body, "POST /second two");
  EXPECT_EQ(client.Receive()->body, "POST /chunked chunked");
}

TEST_F(HttpServerTest, TakesBodiesLargerThanItsBuffers) {
  Start();
  HttpTestClient client = Connect();
  const std::string body(1 << 20, 'x');
  client.Send(Post("/large", body) + Get("/after"));
  EXPECT_EQ(client.Receive()->body, "POST /large " + body);
  EXPECT_EQ(client.Receive()->body, "GET /after ");
  std::string chunked = "POST /chunks HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 1024; ++i) chunked += "400\r\n" + std::string(1024, 'y') + "\r\n";
  client.Send(chunked + "0\r\n\r\n" + Get("/after"));
  EXPECT_EQ(client.Receive()->body, "POST /chunks " + std::string(1 << 20, 'y'));
  EXPECT_EQ(client.Receive()->body, "GET /after ");
}

TEST_F(HttpServerTest, HeadHasNoBody) {
  Start();
  HttpTestClient client = Connect();
  client.Send("HEAD /x HTTP/1.1\r\nHost: test\r\n\r\n" + Get("/y"));
  const auto answer = client.Receive(true);
  EXPECT_EQ(answer->fields.at("Content-Length"), "8");
  EXPECT_EQ(client.Receive()->body, "GET /y ");
}

TEST_F(HttpServerTest, ClosesWhenItIsAskedTo) {
  Start();
  HttpTestClient client = Connect();
  client.Send(Get("/x", "Connection: close\r\n") + Get("/never"));
  const auto answer = client.Receive();
  EXPECT_EQ(answer->body, "GET /x ");
  EXPECT_EQ(answer->fields.at("Connection"), "close");
  EXPECT_TRUE(client.AwaitEnd());
  EXPECT_FALSE(client.was_reset());
}

TEST_F(HttpServerTest, SpeaksHttp10) {
  Start();
  HttpTestClient client = Connect();
  client.Send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(client.Receive()->fields.at("Connection"), "keep-alive");
  client.Send("GET /b HTTP/1.0\r\n\r\n");
  EXPECT_EQ(client.Receive()->fields.at("Connection"), "close");
  EXPECT_TRUE(client.AwaitEnd());
}

TEST_F(HttpServerTest, ContinuesWhenItWillTakeTheBody) {
  Start();
  HttpTestClient client = Connect();
  const std::string head = "POST /x HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
  client.Send(head);
  EXPECT_EQ(client.Receive()->status, 100);
  client.Send("body");
  EXPECT_EQ(client.Receive()->body, "POST /x body");
  // A client that has begun is not told.
  client.Send(head + "body");
  EXPECT_EQ(client.Receive()->status, 200);
  // Behind a request under way, it is told in its turn.
  client.Send(Get("/hold") + head);
  Release("/hold");
  EXPECT_EQ(client.Receive()->body, "released /hold");
  EXPECT_EQ(client.Receive()->status, 100);
  client.Send("last");
  EXPECT_EQ(client.Receive()->body, "POST /x last");
}

TEST_F(HttpServerTest, AnExchangeThatIsDroppedAnswers500) {
  Start();
  HttpTestClient client = Connect();
  client.Send(Get("/drop") + Get("/hold") + Get("/after"));
  const auto answer = client.Receive();
  EXPECT_EQ(answer->status, 500);
  EXPECT_EQ(answer->fields.at("Content-Type"), "application/problem+json");
  EXPECT_THAT(answer->body, HasSubstr("500: "));
  Drop("/hold");
  EXPECT_EQ(client.Receive()->status, 500);
  EXPECT_EQ(client.Receive()->body, "GET /after ");
}

TEST_F(HttpServerTest, AHalfClosedClientGetsItsAnswers) {
  options_.pipeline_max = 2;
  Start();
  HttpTestClient client = Connect();
  client.Send(Get("/hold/1") + Get("/2") + Get("/3") + Get("/hold/4"));
  client.EndSending();
  Release("/hold/1");
  Release("/hold/4");
  EXPECT_EQ(client.Receive()->body, "released /hold/1");
  EXPECT_EQ(client.Receive()->body, "GET /2 ");
  EXPECT_EQ(client.Receive()->body, "GET /3 ");
  EXPECT_EQ(client.Receive()->body, "released /hold/4");
  EXPECT_TRUE(client.AwaitEnd());
  EXPECT_FALSE(client.was_reset());
}

TEST_F(HttpServerTest, AClientThatEndsWithinARequestIsClosed) {
  Start();
  for (const std::string& part : {std::string("GET /"), Post("/x", "body").substr(0, 50), std::string()}) {
    HttpTestClient client = Connect();
    client.Send(part);
    client.EndSending();
    EXPECT_TRUE(client.AwaitEnd()) << part;
  }
}

TEST_F(HttpServerTest, AnswersToAClientThatIsGoneAreDropped) {
  Start();
  {
    HttpTestClient client = Connect();
    client.Send(Get("/hold/reset"));
    AwaitHeld("/hold/reset");
    client.Reset();
  }
  Await([&] { return OpenConnections() == 0; }, "the reset was not noticed");
  Release("/hold/reset");
  HttpTestClient other = Connect();
  other.Send(Get("/after"));
  EXPECT_EQ(other.Receive()->body, "GET /after ");
}

// The client reads little and late: the server's sends are partial, and it stops reading until there is room.
TEST_F(HttpServerTest, ASlowReaderGetsEverythingAndCostsBoundedMemory) {
  options_.output_bytes_max = 64 << 10;
  Start();
  HttpTestClient client = Connect(4096);
  constexpr int kRequests = 2000;
  constexpr std::string_view kRequest = "GET /big?10000 HTTP/1.1\r\nHost: test\r\n\r\n";
  std::string unsent;
  for (int i = 0; i < kRequests; ++i) unsent += kRequest;
  // Before anything is read, the server must come to rest with far from all of it answered.
  double answered = -1;
  for (int still = 0; still < 50;) {
    unsent.erase(0, client.SendSome(unsent));
    const double now = Metric("muster_http_requests_total{class=\"2xx\"");
    still = now == answered ? still + 1 : 0;
    answered = now;
  }
  EXPECT_LT(answered, kRequests / 2);
  int received = 0;
  for (; received < kRequests; ++received) {
    unsent.erase(0, client.SendSome(unsent));
    const auto answer = client.Receive();
    ASSERT_TRUE(answer);
    ASSERT_EQ(answer->body.size(), 10'000U);
  }
  EXPECT_EQ(unsent, "");
}

TEST_F(HttpServerTest, MoreRequestsThanMayBeUnderWayWait) {
  options_.pipeline_max = 3;
  Start();
  HttpTestClient client = Connect();
  std::string requests;
  for (int i = 0; i < 6; ++i) requests += Get("/hold/" + std::to_string(i));
  client.Send(requests);
  AwaitHeld("/hold/2");
  EXPECT_EQ(held(), 3U);
  for (int i = 0; i < 6; ++i) {
    Release("/hold/" + std::to_string(i));
    EXPECT_EQ(client.Receive()->body, "released /hold/" + std::to_string(i));
    EXPECT_LE(held(), 3U);
  }
}

TEST_F(HttpServerTest, ALargeAnswerUnderWayIsTheLastOfItsConnection) {
  Start();
  HttpTestClient client = Connect();
  client.Send(Get("/hold-large?100000") + Get("/next"));
  AwaitHeld("/hold-large?100000");
  HttpTestClient other = Connect();
  other.Send(Get("/other"));
  EXPECT_EQ(other.Receive()->status, 200);
  EXPECT_EQ(handled(), (std::vector<std::string>{"/hold-large?100000", "/other"}));
  Release("/hold-large?100000");
  EXPECT_EQ(client.Receive()->body, "released /hold-large?100000");
  EXPECT_EQ(client.Receive()->body, "GET /next ");
}

// What one connection has sent is not answered at a stretch while others wait.
TEST_F(HttpServerTest, AGreedyConnectionLetsOthersHaveTheirTurn) {
  Start();
  HttpTestClient gate = Connect();
  gate.Send(Get("/hold"));
  AwaitHeld("/hold");
  HttpTestClient greedy = Connect();
  HttpTestClient modest = Connect();
  for (HttpTestClient* client : {&greedy, &modest}) {
    client->Send(Get("/x"));
    EXPECT_EQ(client->Receive()->status, 200);
  }
  std::latch stopped{1};
  std::latch goes_on{1};
  WithHeld("/hold", [&](HttpExchange exchange) {
    stopped.count_down();
    goes_on.wait();
    exchange.Send({.status = 200});
  });
  stopped.wait();
  constexpr std::size_t kRequests = 30;
  std::string requests;
  for (std::size_t i = 0; i < kRequests; ++i) requests += Get("/big?100000");
  greedy.Send(requests);
  modest.Send(Get("/modest"));
  goes_on.count_down();
  EXPECT_EQ(modest.Receive()->status, 200);
  const std::vector<std::string> order = handled();
  EXPECT_LE(std::count(order.begin(), std::ranges::find(order, "/modest"), "/big?100000"), 6);
  for (std::size_t i = 0; i < kRequests; ++i) EXPECT_EQ(greedy.Receive()->body.size(), 100'000U);
}

TEST_F(HttpServerTest, ServesOnAllItsThreads) {
  options_.threads = 3;
  Start();
  std::vector<std::unique_ptr<HttpTestClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<HttpTestClient>(server_->address()));
    clients.back()->Send(Get("/x"));
  }
  for (const auto& client : clients) EXPECT_EQ(client->Receive()->status, 200);
}

TEST_F(HttpServerTest, Counts) {
  Start();
  {
    HttpTestClient client = Connect();
    const std::string request = Get("/x");
    client.Send(request + "broken\r\n");
    const std::string answers = client.ReceiveAll();
    EXPECT_EQ(Metric("muster_http_received_bytes_total"), static_cast<double>(request.size() + 8));
    EXPECT_EQ(Metric("muster_http_sent_bytes_total"), static_cast<double>(answers.size()));
  }
  EXPECT_EQ(Metric("muster_http_connections_accepted_total"), 1);
  EXPECT_EQ(Metric("muster_http_connections_refused_total"), 0);
  EXPECT_EQ(Metric("muster_http_requests_total{class=\"2xx\",server=\"http\"}"), 1);
  EXPECT_EQ(Metric("muster_http_requests_total{class=\"4xx\",server=\"http\"}"), 1);
  EXPECT_EQ(Metric("muster_http_request_duration_seconds_count"), 2);
  Await([&] { return OpenConnections() == 0; }, "the connection is still open");
}

}  // namespace
}  // namespace muster
