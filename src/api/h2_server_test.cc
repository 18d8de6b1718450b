#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/grpc_gzip.h"
#include "api/h2_server_test_base.h"

// Calls of well-meant clients.

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using Client = H2TestClient;

class H2CallsTest : public H2ServerTest {};

TEST_F(H2CallsTest, AUnaryCallHasHeadMessageAndTrailers) {
  Start();
  Client client(server_->address());
  const auto outcome = client.Await(client.Call("/echo", "hello"));
  EXPECT_EQ(outcome.head.at(":status"), "200");
  EXPECT_EQ(outcome.head.at("content-type"), "application/grpc");
  EXPECT_EQ(outcome.head.at("request-id"), "r");
  EXPECT_EQ(outcome.head.at("x-muster-source"), "near");
  EXPECT_EQ(outcome.head.at("grpc-accept-encoding"), "identity,gzip");
  EXPECT_THAT(outcome.messages, ElementsAre("hello"));
  EXPECT_THAT(outcome.trailers, ElementsAre(Pair("grpc-status", "0")));
  EXPECT_EQ(outcome.reset, std::nullopt);
}

TEST_F(H2CallsTest, AnErrorIsAHeadAlone) {
  Start();
  Client client(server_->address());
  const auto outcome = client.Await(client.Call("/error", ""));
  EXPECT_EQ(outcome.head.at(":status"), "200");
  EXPECT_EQ(outcome.status(), "5");
  EXPECT_EQ(outcome.trailers.at("grpc-message"), "not here");
  EXPECT_EQ(outcome.trailers.at("grpc-status-details-bin"), "ZGV0YWlscw");
  EXPECT_TRUE(outcome.messages.empty());
}

TEST_F(H2CallsTest, ManyCallsShareAConnectionAndEndInAnyOrder) {
  Start();
  Client client(server_->address());
  const std::uint32_t held = client.Call("/hold", "x");
  for (int i = 0; i < 1000; ++i) {
    const std::string text = "message " + std::to_string(i);
    EXPECT_THAT(client.Await(client.Call("/echo", text)).messages, ElementsAre(text));
  }
  ReleaseAll();
  EXPECT_THAT(client.Await(held).messages, ElementsAre("released"));
  EXPECT_EQ(Metric("muster_http_requests_total{class=\"2xx\",server=\"grpc\"}"), 1001);
}

TEST_F(H2CallsTest, RequestsMayArriveByteByByte) {
  Start();
  Client client(server_->address(), {}, false);
  std::string bytes =
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Client::FrameOf(Client::kSettings, 0, 0, {}) +
      Client::FrameOf(Client::kHeaders, Client::kEndHeaders, 1, Client::Block(Client::HeadOf("/echo"))) +
      Client::FrameOf(Client::kData, Client::kEndStream, 1, Client::Message("slow"));
  for (const char byte : bytes) client.Send({&byte, 1});
  EXPECT_THAT(client.Await(1).messages, ElementsAre("slow"));
}

TEST_F(H2CallsTest, AnswersRespectTheWindow) {
  Start();
  Client client(server_->address(), Client::Setting(4, 1000));
  const std::uint32_t stream = client.Call("/size", "100000");
  std::size_t received = 0;
  while (received < 1000) {
    const auto frame = client.NextOf(Client::kData);
    ASSERT_TRUE(frame);
    received += frame->payload.size();
  }
  EXPECT_EQ(received, 1000U);
  EXPECT_THAT(client.Await(client.Call("/echo", "others go on")).messages, ElementsAre("others go on"));
  client.Allow(stream, 200'000);
  const auto outcome = client.Await(stream);
  EXPECT_EQ(outcome.status(), "0");
}

TEST_F(H2CallsTest, LargeMessagesGoBothWays) {
  Start();
  Client client(server_->address(), Client::Setting(4, 4 << 20));
  client.SendFrame(Client::kWindowUpdate, 0, 0, Client::Number(4 << 20));
  const std::string large(1 << 20, 'x');
  const std::uint32_t stream = client.Open("/echo");
  const std::string framed = Client::Message(large);
  // As the server gives window.
  std::size_t sent = 0;
  std::size_t stream_window = 65'535;
  std::size_t connection_window = 65'535;
  while (sent < framed.size()) {
    const std::size_t size = std::min({std::size_t{16'384}, framed.size() - sent, stream_window, connection_window});
    if (size == 0) {
      const auto update = client.NextOf(Client::kWindowUpdate);
      ASSERT_TRUE(update);
      (update->stream == 0 ? connection_window : stream_window) += update->Number(0);
      continue;
    }
    const bool is_last = sent + size == framed.size();
    client.SendFrame(Client::kData, is_last ? Client::kEndStream : 0, stream,
                     std::string_view(framed).substr(sent, size));
    sent += size;
    stream_window -= size;
    connection_window -= size;
  }
  EXPECT_THAT(client.Await(stream).messages, ElementsAre(large));
}

TEST_F(H2CallsTest, GzipIsTakenAndGivenToWhoUsesIt) {
  Start();
  Client client(server_->address());
  GrpcGzip gzip;
  std::string packed;
  const std::string text(5000, 'z');
  gzip.Pack(text, packed);
  const auto call = [&](const std::string& message, char flag, const Client::Fields& fields) {
    const std::uint32_t stream = client.Open("/echo", fields);
    client.SendFrame(Client::kData, Client::kEndStream, stream, Client::Message(message, flag));
    return client.Await(stream);
  };
  auto outcome = call(packed, 1, {{"grpc-encoding", "gzip"}, {"grpc-accept-encoding", "identity,gzip"}});
  EXPECT_EQ(outcome.head.at("grpc-encoding"), "gzip");
  ASSERT_EQ(outcome.messages.size(), 1U);
  EXPECT_EQ(gzip.Unpack(outcome.messages[0], 10'000), text);
  outcome = call(packed, 1, {{"grpc-encoding", "gzip"}});
  EXPECT_EQ(outcome.head.count("grpc-encoding"), 0U) << "the client does not say that it takes gzip";
  EXPECT_THAT(outcome.messages, ElementsAre(text));
  outcome = call("short", 0, {{"grpc-encoding", "gzip"}, {"grpc-accept-encoding", "gzip"}});
  EXPECT_THAT(outcome.messages, ElementsAre("short"));

  outcome = call(packed, 1, {});
  EXPECT_EQ(outcome.status(), "3");
  outcome = call("not packed", 1, {{"grpc-encoding", "gzip"}});
  EXPECT_EQ(outcome.status(), "3");
  outcome = call(packed, 1, {{"grpc-encoding", "snappy"}});
  EXPECT_EQ(outcome.status(), "12");
  EXPECT_EQ(outcome.head.at("grpc-accept-encoding"), "identity,gzip");
}

TEST_F(H2CallsTest, AGzipBombIsRefused) {
  options_.message_bytes_max = 1 << 16;
  Start();
  Client client(server_->address());
  GrpcGzip gzip;
  std::string packed;
  gzip.Pack(std::string(1 << 20, 'b'), packed);
  const std::uint32_t stream = client.Open("/echo", {{"grpc-encoding", "gzip"}});
  client.SendFrame(Client::kData, Client::kEndStream, stream, Client::Message(packed, 1));
  EXPECT_EQ(client.Await(stream).status(), std::to_string(DescribeReason(Reason::kBodyTooLarge).grpc_code));
}

TEST_F(H2CallsTest, WhatIsNoGrpcIsToldSo) {
  Start();
  Client client(server_->address());
  EXPECT_EQ(client.Await(client.Call("/echo", "x", {{"content-type", "application/json"}})).head.at(":status"), "415");
  EXPECT_EQ(client.Await(client.Call("/echo", "x", {{":method", "PUT"}})).head.at(":status"), "405");
  EXPECT_EQ(client.Await(client.Call("/echo", "x", {{"content-type", "application/grpc+json"}})).head.at(":status"),
            "415");
  EXPECT_EQ(client.Await(client.Call("/echo", "x", {{"content-type", "application/grpc+proto"}})).status(), "0");
  EXPECT_EQ(handled(), 1U);
}

TEST_F(H2CallsTest, AUnaryCallHasOneMessage) {
  Start();
  Client client(server_->address());
  const auto call = [&](std::string_view data) {
    const std::uint32_t stream = client.Open("/echo");
    client.SendFrame(Client::kData, Client::kEndStream, stream, data);
    return client.Await(stream);
  };
  EXPECT_EQ(call("").status(), "3");
  EXPECT_EQ(call(Client::Message("x").substr(0, 4)).status(), "3");
  EXPECT_EQ(call(Client::Message("whole").substr(0, 8)).status(), "3");
  EXPECT_THAT(call(Client::Message("one") + Client::Message("two")).trailers.at("grpc-message"),
              HasSubstr("takes one message"));
  EXPECT_EQ(call(Client::Message("x", 2)).status(), "3");
  EXPECT_EQ(client.Await(client.Open("/echo", {}, Client::kEndHeaders | Client::kEndStream)).status(), "3");
  EXPECT_EQ(call(Client::Message("")).status(), "0");
}

TEST_F(H2CallsTest, ADroppedCallIsAnInternalError) {
  Start();
  Client client(server_->address());
  EXPECT_EQ(client.Await(client.Call("/drop", "")).status(), "13");
}

TEST_F(H2CallsTest, ACancelledCallIsForgotten) {
  Start();
  Client client(server_->address());
  const std::uint32_t stream = client.Call("/hold", "");
  Await([&] { return held() == 1; }, "the call is held");
  client.SendFrame(Client::kReset, 0, stream, Client::Number(8));
  EXPECT_THAT(client.Await(client.Call("/echo", "after")).messages, ElementsAre("after"));
  ReleaseAll();
  EXPECT_THAT(client.Await(client.Call("/echo", "later")).messages, ElementsAre("later"));
}

// However the bytes come: what is there of a head says nothing of who calls.
TEST_F(H2CallsTest, CallsAreTheSameWhereverTheyAreCut) {
  Start();
  const std::string block = Client::Block(Client::HeadOf("/keyed", {{"authorization", "Bearer key"}}));
  const auto call = [&](std::uint32_t stream) {
    return Client::FrameOf(Client::kHeaders, Client::kEndHeaders, stream, block) +
           Client::FrameOf(Client::kData, Client::kEndStream, stream, Client::Message("m"));
  };
  const std::string unopened = Client::FrameOf(Client::kReset, 0, 9, Client::Number(8));
  const std::string all = call(1) + call(3) + unopened + call(5) + unopened + call(11);
  constexpr std::size_t kGreetingBytes = 24 + 9;
  double received = 0;
  for (std::size_t cut = call(1).size() - 3; cut < all.size(); cut += 1 + cut % 3) {
    Client client(server_->address());
    client.Send(std::string_view(all).substr(0, cut));
    received += static_cast<double>(kGreetingBytes + cut);
    Await([&] { return Metric("muster_http_received_bytes_total{") >= received; }, "the first part is read");
    client.Send(std::string_view(all).substr(cut));
    for (const std::uint32_t stream : {1, 3, 5, 11}) {
      const auto outcome = client.Await(stream);
      ASSERT_EQ(outcome.status(), "0") << "stream " << stream << ", cut at " << cut << " of " << all.size();
      ASSERT_THAT(outcome.messages, ElementsAre("m"));
    }
    received = Metric("muster_http_received_bytes_total{");
  }
}

TEST_F(H2CallsTest, AnAnswerForAConnectionThatIsGoneGoesNowhere) {
  Start();
  {
    Client client(server_->address());
    client.Call("/hold", "");
    Await([&] { return held() == 1; }, "the call is held");
  }
  Await([&] { return OpenConnections() == 0; }, "the connection is closed");
  ReleaseAll();
  Client client(server_->address());
  EXPECT_THAT(client.Await(client.Call("/echo", "after")).messages, ElementsAre("after"));
}

TEST_F(H2CallsTest, StreamsGoBothWays) {
  Start();
  Client client(server_->address());
  const std::uint32_t stream = client.Open("/stream");
  for (const char* text : {"one", "two"}) {
    client.SendFrame(Client::kData, 0, stream, Client::Message(text));
    EXPECT_EQ(client.AwaitMessage(stream), text);
  }
  // A message in two frames, two in one.
  const std::string three = Client::Message("three");
  client.SendFrame(Client::kData, 0, stream, three.substr(0, 3));
  client.SendFrame(Client::kData, 0, stream, three.substr(3) + Client::Message("four") + Client::Message("five"));
  client.SendFrame(Client::kData, Client::kEndStream, stream);
  const auto outcome = client.Await(stream);
  EXPECT_THAT(outcome.messages, ElementsAre("three", "four", "five"));
  EXPECT_EQ(outcome.status(), "0");
  Await([&] { return sources() == 0; }, "the source is gone");
}

}  // namespace
}  // namespace muster
