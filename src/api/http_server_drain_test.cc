#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "api/http_server_test_base.h"

namespace muster {
namespace {

class HttpServerDrainTest : public HttpServerTest {
 protected:
  // Drain on a thread of its own, as it waits for what is under way.
  std::thread BeginDrain() {
    HttpTestClient idle = Connect();
    std::thread drain([this] { server_->Drain(); });
    EXPECT_TRUE(idle.AwaitEnd());  // the loop has begun with it
    return drain;
  }
  // While time passes: clients that do not close are not waited for for ever.
  void Join(std::thread& drain) {
    const std::jthread time([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        clock_.Advance(std::chrono::milliseconds(10));
        std::this_thread::yield();
      }
    });
    drain.join();
  }
};

TEST_F(HttpServerDrainTest, IdleConnectionsAreClosedAtOnce) {
  Start();
  HttpTestClient fresh = Connect();
  HttpTestClient used = Connect();
  used.Send(Get("/x"));
  EXPECT_EQ(used.Receive()->status, 200);
  std::thread drain([this] { server_->Drain(); });
  EXPECT_TRUE(fresh.AwaitEnd());
  EXPECT_TRUE(used.AwaitEnd());
  EXPECT_FALSE(used.was_reset());
  Join(drain);
  server_->Drain();  // again: nothing to do
}

TEST_F(HttpServerDrainTest, WhatIsUnderWayIsAnsweredAndSaysClose) {
  Start();
  HttpTestClient one = Connect();
  one.Send(Get("/hold/1") + Get("/hold/2"));
  HttpTestClient partial = Connect();
  partial.Send("POST /partial HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbo");
  AwaitHeld("/hold/2");
  HttpTestClient barrier = Connect();  // its answer: the loop has read the part before
  barrier.Send(Get("/x"));
  EXPECT_EQ(barrier.Receive()->status, 200);

  std::thread drain = BeginDrain();
  Release("/hold/1");
  Release("/hold/2");
  EXPECT_FALSE(one.Receive()->fields.contains("Connection"));
  EXPECT_EQ(one.Receive()->fields.at("Connection"), "close");
  EXPECT_TRUE(one.AwaitEnd());
  partial.Send("dy");
  const auto answer = partial.Receive();
  EXPECT_EQ(answer->body, "POST /partial body");
  EXPECT_EQ(answer->fields.at("Connection"), "close");
  EXPECT_TRUE(partial.AwaitEnd());
  Join(drain);
  EXPECT_EQ(OpenConnections(), 0);
}

TEST_F(HttpServerDrainTest, ARequestInTheSocketIsAnswered) {
  options_.pipeline_max = 1;
  Start();
  HttpTestClient client = Connect();
  client.Send(Get("/hold"));
  AwaitHeld("/hold");
  // Not read yet, as no more may be under way: the last answer says that it was not taken.
  client.Send(Get("/unread"));
  std::thread drain = BeginDrain();
  Release("/hold");
  const auto answer = client.Receive();
  EXPECT_EQ(answer->body, "released /hold");
  EXPECT_EQ(answer->fields.at("Connection"), "close");
  EXPECT_TRUE(client.AwaitEnd());
  EXPECT_FALSE(client.was_reset()) << "a reset takes the answer with it on other systems";
  Join(drain);
}

TEST_F(HttpServerDrainTest, ARequestThatWaitsForRoomIsAnswered) {
  options_.output_bytes_max = 4 << 10;
  Start();
  HttpTestClient client = Connect(4096);
  client.Send(Get("/big?8000000") + Get("/waits"));
  Await([&] { return handled().size() == 1; }, "nothing is answered");
  std::thread drain = BeginDrain();
  EXPECT_EQ(client.Receive()->body.size(), 8'000'000U);
  const auto answer = client.Receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "GET /waits ");
  EXPECT_EQ(answer->fields.at("Connection"), "close");
  EXPECT_TRUE(client.AwaitEnd());
  Join(drain);
}

TEST_F(HttpServerDrainTest, AnAnswerThatIsThereAlreadySaysCloseToo) {
  Start();
  HttpTestClient client = Connect();
  client.Send(Get("/hold") + Get("/early"));
  AwaitHeld("/hold");
  Await([&] { return handled().size() == 2; }, "the second is not answered");
  std::thread drain = BeginDrain();
  Release("/hold");
  EXPECT_FALSE(client.Receive()->fields.contains("Connection"));
  const auto last = client.Receive();
  EXPECT_EQ(last->body, "GET /early ");
  EXPECT_EQ(last->fields.at("Connection"), "close");
  EXPECT_TRUE(client.AwaitEnd());
  Join(drain);
}

TEST_F(HttpServerDrainTest, WhatTakesTooLongIsClosed) {
  options_.drain_timeout_ms = 1000;
  Start();
  HttpTestClient client = Connect();
  client.Send(Get("/hold"));
  AwaitHeld("/hold");
  std::thread drain = BeginDrain();
  Await(
      [&] {
        clock_.Advance(std::chrono::milliseconds(10));
        return OpenConnections() == 0;
      },
      "the drain's time-out did not close the connection");
  EXPECT_TRUE(client.AwaitEnd());
  Join(drain);
  Release("/hold");  // its loop does not run any more: nothing happens
}

TEST_F(HttpServerDrainTest, UnderLoadEveryAcceptedRequestIsAnswered) {
  options_.threads = 2;
  Start();
  constexpr int kClients = 16;
  std::atomic<int> answered{0};
  std::atomic<int> unclean{0};
  std::vector<std::thread> clients;
  clients.reserve(kClients);
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&, client = std::make_shared<HttpTestClient>(server_->address())] {
      while (true) {
        client->Send(Get("/x"));
        const auto answer = client->Receive();
        // Closed before an answer: only between requests, when the request met a closing connection.
        if (!answer) return;
        ++answered;
        if (answer->status != 200) ++unclean;
        if (answer->fields.contains("Connection")) {
          if (!client->AwaitEnd()) ++unclean;
          return;
        }
      }
    });
  }
  Await([&] { return answered > 1000; }, "the load does not run");
  server_->Drain();
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(unclean, 0);
  EXPECT_EQ(OpenConnections(), 0);
}

TEST_F(HttpServerDrainTest, TheAddressIsFreeAfterwards) {
  Start();
  const std::string address = server_->address();
  Stop();
  options_.listen = address;
  MetricRegistry other_metrics;
  const auto again = HttpServer::Start(
      options_,
      [](EventLoop&) -> Result<std::unique_ptr<HttpHandler>> { return Fail(Reason::kInternal, "no handler"); }, clock_,
      NullLogger(), other_metrics, "http");
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().message, "no handler");
}

}  // namespace
}  // namespace muster
