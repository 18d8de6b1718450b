#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "api/http_server_test_base.h"

namespace muster {
namespace {

using testing::ElementsAre;

// Which requests of one connection may be under way together (RFC 9112 section 9.3.2).
class HttpServerOrderTest : public HttpServerTest {
 protected:
  // The loop has done all it can with what was sent before.
  void Settle() {
    HttpTestClient other = Connect();
    other.Send(Get("/settled"));
    EXPECT_EQ(other.Receive()->status, 200);
  }
  // Without Settle's own.
  std::vector<std::string> taken() {
    std::vector<std::string> targets = handled();
    std::erase(targets, "/settled");
    return targets;
  }
};

TEST_F(HttpServerOrderTest, AnUnsafeRequestHasTheConnectionForItself) {
  Start();
  HttpTestClient client = Connect();
  client.Send(Get("/hold/1") + Get("/hold/2") + Post("/hold/3", "x") + Get("/hold/4") + Get("/5") + Post("/6", "y") +
              Get("/7"));
  AwaitHeld("/hold/2");
  Settle();
  EXPECT_THAT(taken(), ElementsAre("/hold/1", "/hold/2"));
  Release("/hold/2");
  Settle();
  EXPECT_THAT(taken(), ElementsAre("/hold/1", "/hold/2")) << "one before it is under way still";
  Release("/hold/1");
  AwaitHeld("/hold/3");
  Settle();
  EXPECT_THAT(taken(), ElementsAre("/hold/1", "/hold/2", "/hold/3"));
  Release("/hold/3");
  AwaitHeld("/hold/4");
  Settle();
  EXPECT_THAT(taken(), ElementsAre("/hold/1", "/hold/2", "/hold/3", "/hold/4", "/5"));
  Release("/hold/4");
  for (const char* body : {"released /hold/1", "released /hold/2", "released /hold/3", "released /hold/4", "GET /5 ",
                           "POST /6 y", "GET /7 "}) {
    EXPECT_EQ(client.Receive()->body, body);
  }
}

TEST_F(HttpServerOrderTest, SoDoesAnyMethodThatIsNotKnownToBeSafe) {
  Start();
  for (const std::string method : {"PUT", "PATCH", "DELETE", "TRACE", "ANYTHING"}) {
    HttpTestClient client = Connect();
    client.Send(method + " /hold HTTP/1.1\r\nHost: test\r\n\r\n" + Get("/after/" + method));
    AwaitHeld("/hold");
    Settle();
    EXPECT_EQ(taken().back(), "/hold") << method;
    Release("/hold");
    EXPECT_EQ(client.Receive()->body, "released /hold");
    EXPECT_EQ(client.Receive()->body, "GET /after/" + method + " ");
  }
}

TEST_F(HttpServerOrderTest, WhatArrivesLaterWaitsToo) {
  Start();
  HttpTestClient client = Connect();
  client.Send(Post("/hold/1", "x"));
  AwaitHeld("/hold/1");
  const std::string chunked = "POST /hold/2 HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbo";
  client.Send(chunked);
  Settle();
  client.Send("dy\r\n0\r\n\r\n" + Get("/3"));
  Settle();
  EXPECT_THAT(taken(), ElementsAre("/hold/1"));
  Release("/hold/1");
  EXPECT_EQ(client.Receive()->body, "released /hold/1");
  AwaitHeld("/hold/2");
  Settle();
  EXPECT_THAT(taken(), ElementsAre("/hold/1", "/hold/2"));
  Release("/hold/2");
  EXPECT_EQ(client.Receive()->body, "released /hold/2");
  EXPECT_EQ(client.Receive()->body, "GET /3 ");
}

TEST_F(HttpServerOrderTest, ABodyThatHasToWaitStaysInTheSocket) {
  Start();
  HttpTestClient client = Connect();
  client.Send(Get("/hold"));
  AwaitHeld("/hold");
  const std::string request = Post("/large", std::string(1'000'000, 'x'));
  std::size_t sent = client.SendSome(request);
  Settle();
  EXPECT_LT(Metric("muster_http_received_bytes_total"), 200'000);
  Release("/hold");
  EXPECT_EQ(client.Receive()->body, "released /hold");
  client.Send(std::string_view(request).substr(sent));
  EXPECT_EQ(client.Receive()->body.size(), std::string("POST /large ").size() + 1'000'000);
}

TEST_F(HttpServerOrderTest, ContinueIsSaidWhenTheTurnHasCome) {
  Start();
  const std::string head = "POST /x HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
  HttpTestClient client = Connect();
  for (const std::string& before : {Get("/hold"), Post("/hold", "y")}) {
    client.Send(before + head);
    AwaitHeld("/hold");
    Settle();
    Release("/hold");
    EXPECT_EQ(client.Receive()->body, "released /hold");
    EXPECT_EQ(client.Receive()->status, 100);
    client.Send("body");
    EXPECT_EQ(client.Receive()->body, "POST /x body");
  }
}

TEST_F(HttpServerOrderTest, AHalfClosedClientGetsTheAnswersToAll) {
  Start();
  HttpTestClient client = Connect();
  client.Send(Post("/hold/1", "x") + Post("/hold/2", "x") + Get("/3"));
  client.EndSending();
  Release("/hold/1");
  Release("/hold/2");
  EXPECT_EQ(client.Receive()->body, "released /hold/1");
  EXPECT_EQ(client.Receive()->body, "released /hold/2");
  EXPECT_EQ(client.Receive()->body, "GET /3 ");
  EXPECT_TRUE(client.AwaitEnd());
  EXPECT_FALSE(client.was_reset());
}

TEST_F(HttpServerOrderTest, ADroppedOneLetsTheNextHaveItsTurn) {
  Start();
  HttpTestClient client = Connect();
  client.Send(Post("/hold", "x") + Post("/after", "y"));
  Drop("/hold");
  EXPECT_EQ(client.Receive()->status, 500);
  EXPECT_EQ(client.Receive()->body, "POST /after y");
}

TEST_F(HttpServerOrderTest, AnsweredAtOnceTheyNeedNoWaiting) {
  options_.pipeline_max = 2;
  Start();
  HttpTestClient client = Connect();
  constexpr int kRequests = 1000;
  std::string requests;
  for (int i = 0; i < kRequests; ++i) {
    requests += i % 3 == 0 ? Get("/" + std::to_string(i)) : Post("/" + std::to_string(i), std::string(300, 'x'));
  }
  client.Send(requests);
  for (int i = 0; i < kRequests; ++i) {
    const std::string target = "/" + std::to_string(i);
    ASSERT_EQ(client.Receive()->body,
              i % 3 == 0 ? "GET " + target + " " : "POST " + target + " " + std::string(300, 'x'));
  }
}

TEST_F(HttpServerOrderTest, ADrainEndsBeforeWhatWaits) {
  Start();
  HttpTestClient client = Connect();
  client.Send(Post("/hold", "x") + Post("/waits", "y"));
  AwaitHeld("/hold");
  HttpTestClient idle = Connect();
  std::thread drain([this] { server_->Drain(); });
  EXPECT_TRUE(idle.AwaitEnd());  // the loop has begun with it
  Release("/hold");
  const auto answer = client.Receive();
  EXPECT_EQ(answer->body, "released /hold");
  EXPECT_EQ(answer->fields.at("Connection"), "close");
  EXPECT_TRUE(client.AwaitEnd());
  EXPECT_FALSE(client.was_reset());
  client.Reset();
  drain.join();
  EXPECT_THAT(taken(), ElementsAre("/hold"));
}

}  // namespace
}  // namespace muster
