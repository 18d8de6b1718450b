#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/h2_connection.h"
#include "api/h2_server_test_base.h"

// Clients that send too much, too little, or read nothing; and how a server ends.

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Client = H2TestClient;

constexpr std::uint32_t kCalm = 0xb;
constexpr std::uint32_t kCancel = 0x8;

class H2LimitsTest : public H2ServerTest {
 protected:
  // Sends `frame` until the server ends the connection; answers how many it took.
  std::size_t Flood(Client& client, const std::function<std::string(std::uint32_t)>& frame, std::size_t most) {
    for (std::uint32_t i = 0; i < most; ++i) {
      if (!client.Send(frame(i))) return i;
    }
    return most;
  }
  static void ExpectCalmed(Client& client) {
    const auto goaway = client.NextOf(Client::kGoAway);
    ASSERT_TRUE(goaway);
    EXPECT_EQ(goaway->Number(4), kCalm);
  }
};

TEST_F(H2LimitsTest, PingFloodsEndTheConnection) {
  Start();
  Client client(server_->address());
  Flood(client, [](std::uint32_t) { return Client::FrameOf(Client::kPing, 0, 0, "12345678"); }, 3000);
  ExpectCalmed(client);
}

TEST_F(H2LimitsTest, SettingsFloodsEndTheConnection) {
  Start();
  Client client(server_->address());
  Flood(client, [](std::uint32_t) { return Client::FrameOf(Client::kSettings, 0, 0, {}); }, 3000);
  ExpectCalmed(client);
}

TEST_F(H2LimitsTest, AnswersToPingsThatNobodySentEndTheConnection) {
  Start();
  Client client(server_->address());
  Flood(client, [](std::uint32_t) { return Client::FrameOf(Client::kPing, Client::kAck, 0, "12345678"); }, 3000);
  ExpectCalmed(client);
}

TEST_F(H2LimitsTest, AnswersToSettingsThatNobodySentEndTheConnection) {
  Start();
  Client client(server_->address());
  Flood(client, [](std::uint32_t) { return Client::FrameOf(Client::kSettings, Client::kAck, 0, {}); }, 3000);
  ASSERT_TRUE(client.NextOf(Client::kGoAway));
}

TEST_F(H2LimitsTest, EmptyDataFloodsEndTheConnection) {
  Start();
  Client client(server_->address());
  const std::uint32_t stream = client.Open("/echo");
  Flood(client, [&](std::uint32_t) { return Client::FrameOf(Client::kData, 0, stream, {}); }, 3000);
  ExpectCalmed(client);
}

TEST_F(H2LimitsTest, RapidResetsEndTheConnection) {
  Start();
  Client client(server_->address());
  const std::string block = Client::Block(Client::HeadOf("/echo"));
  const std::string message = Client::Message("x");
  Flood(
      client,
      [&](std::uint32_t i) {
        const std::uint32_t stream = 2 * i + 1;
        return Client::FrameOf(Client::kHeaders, Client::kEndHeaders, stream, block) +
               Client::FrameOf(Client::kData, Client::kEndStream, stream, message) +
               Client::FrameOf(Client::kReset, 0, stream, Client::Number(kCancel));
      },
      20'000);
  ExpectCalmed(client);
  EXPECT_LT(handled(), 2500U);
}

TEST_F(H2LimitsTest, ResetsOfStreamsThatWereNeverOpenedAreCountedOnly) {
  Start();
  Client client(server_->address());
  const auto reset = [](std::uint32_t i) { return Client::FrameOf(Client::kReset, 0, 2 * i + 101, Client::Number(8)); };
  client.Send(reset(1) + reset(7) + reset(3));
  EXPECT_EQ(client.Await(client.Call("/echo", "x")).status(), "0");
  Flood(client, reset, 3000);
  ExpectCalmed(client);
  Client within(server_->address());
  within.SendFrame(Client::kHeaders, 0, 1, Client::Block(Client::HeadOf("/echo")));
  within.Send(reset(1));
  EXPECT_TRUE(within.NextOf(Client::kGoAway)) << "a head is not interrupted";
}

TEST_F(H2LimitsTest, ContinuationFloodsEndTheConnection) {
  Start();
  Client client(server_->address());
  client.SendFrame(Client::kHeaders, 0, 1, Client::Block(Client::HeadOf("/echo")));
  Flood(client, [](std::uint32_t) { return Client::FrameOf(Client::kContinuation, 0, 1, {}); }, 3000);
  EXPECT_TRUE(client.NextOf(Client::kGoAway));
  EXPECT_TRUE(client.AwaitEnd());
}

TEST_F(H2LimitsTest, AHeaderListThatNeverEndsEndsTheConnection) {
  Start();
  Client client(server_->address());
  client.SendFrame(Client::kHeaders, 0, 1, Client::Block(Client::HeadOf("/echo")));
  const std::string fields = Client::Block({{"x-long", std::string(16'000, 'x')}});
  Flood(client, [&](std::uint32_t) { return Client::FrameOf(Client::kContinuation, 0, 1, fields); }, 1000);
  EXPECT_TRUE(client.NextOf(Client::kGoAway));
  EXPECT_TRUE(client.AwaitEnd());
}

TEST_F(H2LimitsTest, WhoWorksMayPingAndCancel) {
  Start();
  Client client(server_->address());
  for (int i = 0; i < 3000; ++i) {
    client.SendFrame(Client::kPing, 0, 0, "12345678");
    ASSERT_EQ(client.Await(client.Call("/echo", "x")).status(), "0") << i;
  }
  for (int i = 0; i < 3000; ++i) {
    client.SendFrame(Client::kReset, 0, client.Open("/echo"), Client::Number(kCancel));
    ASSERT_EQ(client.Await(client.Call("/echo", "x")).status(), "0") << i;
  }
}

TEST_F(H2LimitsTest, LongMetadataIsRefusedAndTheConnectionLives) {
  Start();
  Client client(server_->address());
  const auto outcome = client.Await(client.Call("/echo", "x", {{"x-long", std::string(16'200, 'x')}}));
  EXPECT_EQ(outcome.status(), std::to_string(DescribeReason(Reason::kHeadersTooLarge).grpc_code));
  EXPECT_EQ(client.Await(client.Call("/echo", "x")).status(), "0");
  EXPECT_EQ(handled(), 1U);
}

TEST_F(H2LimitsTest, ALargeMessageIsRefusedBeforeItIsThere) {
  options_.message_bytes_max = 1000;
  Start();
  Client client(server_->address());
  const std::uint32_t stream = client.Open("/echo");
  client.SendFrame(Client::kData, 0, stream, Client::Message(std::string(1001, 'x')).substr(0, 5));
  const auto outcome = client.Await(stream);
  EXPECT_EQ(outcome.status(), std::to_string(DescribeReason(Reason::kBodyTooLarge).grpc_code));
  EXPECT_THAT(outcome.trailers.at("grpc-message"), HasSubstr("larger than 1000 bytes"));
  EXPECT_EQ(client.Await(client.Call("/echo", std::string(1000, 'x'))).status(), "0");
}

TEST_F(H2LimitsTest, StreamsBeyondTheBoundAreRefused) {
  options_.streams_max = 4;
  Start();
  Client client(server_->address());
  ASSERT_TRUE(client.NextOf(Client::kSettings));
  client.SendFrame(Client::kSettings, Client::kAck, 0);
  for (int i = 0; i < 4; ++i) client.Call("/hold", "x");
  Await([&] { return held() == 4; }, "four calls are held");
  client.Call("/hold", "x");
  const auto goaway = client.NextOf(Client::kGoAway);
  EXPECT_TRUE(goaway) << "the client was told the bound";
  EXPECT_EQ(held(), 4U);
}

TEST_F(H2LimitsTest, ConnectionsBeyondTheBoundAreClosed) {
  options_.connections_max = 1;
  Start();
  Client first(server_->address());
  EXPECT_EQ(first.Await(first.Call("/echo", "x")).status(), "0");
  Client second(server_->address());
  EXPECT_TRUE(second.AwaitEnd());
  EXPECT_EQ(Metric("muster_http_connections_refused_total{server=\"grpc\"}"), 1);
  EXPECT_EQ(first.Await(first.Call("/echo", "x")).status(), "0");
}

TEST_F(H2LimitsTest, WhoDoesNotGreetIsClosed) {
  Start();
  Client client(server_->address(), {}, false);
  Await([&] { return OpenConnections() == 1; }, "it is open");
  client.Send("PRI * HTTP");
  AwaitInTime([&] { return OpenConnections() == 0; }, "it is closed");
}

TEST_F(H2LimitsTest, WhoSpeaksAnotherProtocolIsClosed) {
  Start();
  Client client(server_->address(), {}, false);
  client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(client.AwaitEnd());
}

TEST_F(H2LimitsTest, AHeaderBlockHasToEnd) {
  Start();
  Client client(server_->address());
  client.SendFrame(Client::kHeaders, 0, 1, Client::Block(Client::HeadOf("/echo")));
  Await([&] { return Metric("muster_http_received_bytes_total{") > 100; }, "it is read");
  AwaitInTime([&] { return OpenConnections() == 0; }, "it is closed");
}

TEST_F(H2LimitsTest, ARequestThatDoesNotEndHasTheDefaultDeadline) {
  Start();
  Client client(server_->address());
  const std::uint32_t stream = client.Open("/echo");
  client.SendFrame(Client::kData, 0, stream, Client::Message("begun").substr(0, 7));
  const std::jthread time([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) AdvanceClock(std::chrono::milliseconds(100));
  });
  EXPECT_EQ(client.Await(stream).status(), "4");
}

TEST_F(H2LimitsTest, AStreamWhoseMessageDoesNotComeHasTheDefaultDeadline) {
  Start();
  Client client(server_->address());
  const std::uint32_t silent = client.Open("/stream");
  const std::uint32_t cut_short = client.Open("/stream");
  client.SendFrame(Client::kData, 0, cut_short, Client::Message("begun").substr(0, 7));
  const std::uint32_t writing = client.Open("/flood");  // awaits nothing
  Await([&] { return sources() == 3; }, "all are open");
  AwaitInTime([&] { return sources() == 1; }, "those are ended");
  EXPECT_EQ(client.Await(silent).status(), "4");
  const auto outcome = client.Await(cut_short);
  EXPECT_EQ(outcome.status(), "4");
  EXPECT_THAT(outcome.trailers.at("grpc-message"), HasSubstr("no message came in time"));
  client.SendFrame(Client::kData, Client::kEndStream, writing, Client::Message("go"));
  EXPECT_FALSE(client.AwaitMessage(writing).empty());
}

TEST_F(H2LimitsTest, OtherCallsKeepNoStalledStreamAlive) {
  options_.write_timeout_ms = 1'000;
  Start();
  Client client(server_->address(), Client::Setting(4, 100));
  client.Open("/stream");
  client.SendFrame(Client::kData, 0, client.Open("/echo"), Client::Message("begun").substr(0, 7));
  const std::uint32_t unread = client.Call("/size", "1000");
  Await([&] { return sources() == 1 && handled() == 1; }, "they are under way");
  for (int i = 0; i < 40; ++i) {
    AdvanceClock(std::chrono::milliseconds(100));
    ASSERT_EQ(client.Await(client.Call("/echo", "x")).status(), "0") << "the loop has seen that time";
  }
  EXPECT_EQ(sources(), 0U);
  EXPECT_EQ(client.Await(1).status(), "4");
  EXPECT_EQ(client.Await(3).status(), "4");
  EXPECT_EQ(client.Await(unread).reset, kCancel);
}

TEST_F(H2LimitsTest, EachMessageOfAStreamHasTheDefaultDeadlineAnew) {
  Start();
  Client client(server_->address());
  const std::uint32_t stream = client.Open("/stream");
  for (const char* message : {"one", "two", "three"}) {
    client.SendFrame(Client::kData, 0, stream, Client::Message(message));
    EXPECT_EQ(client.AwaitMessage(stream), message);
    AdvanceClock(std::chrono::milliseconds(options_.write_timeout_ms * 2 / 3));
    EXPECT_EQ(client.Await(client.Call("/echo", "x")).status(), "0") << "the loop has seen that time";
  }
  EXPECT_EQ(sources(), 1U);
  AwaitInTime([&] { return sources() == 0; }, "it is ended");
  EXPECT_EQ(client.Await(stream).status(), "4");
}

TEST_F(H2LimitsTest, AConnectionHasAFewStreamsForWhoeverComes) {
  Start();
  Client client(server_->address());
  std::vector<std::uint32_t> streams;
  for (std::size_t i = 0; i < H2Connection::kKeylessStreamsMax; ++i) streams.push_back(client.Open("/open"));
  const auto refused = client.Await(client.Open("/open"));
  EXPECT_EQ(refused.status(), "8");
  EXPECT_THAT(refused.trailers.at("grpc-message"),
              HasSubstr("as many calls of health and reflection under way as it may (8)"));
  client.SendFrame(Client::kData, Client::kEndStream, client.Open("/stream"), Client::Message("keyed"));
  EXPECT_EQ(client.Await(client.Call("/echo", "x")).status(), "0") << "others are not counted";
  Client other(server_->address());
  const std::uint32_t of_other = other.Open("/open");
  other.SendFrame(Client::kData, Client::kEndStream, of_other, Client::Message("x"));
  EXPECT_THAT(other.Await(of_other).messages, ElementsAre("x"));

  client.SendFrame(Client::kData, Client::kEndStream, streams[3], Client::Message("last"));
  EXPECT_THAT(client.Await(streams[3]).messages, ElementsAre("last"));
  const std::uint32_t again = client.Open("/open");
  client.SendFrame(Client::kData, Client::kEndStream, again, Client::Message("again"));
  EXPECT_THAT(client.Await(again).messages, ElementsAre("again")) << "there is a place again";
}

TEST_F(H2LimitsTest, WhoIsNobodyDoesNotHaveACallWait) {
  Start();
  Client client(server_->address());
  const auto refused = client.Await(client.Open("/nobody"));
  EXPECT_EQ(refused.status(), "16");
  for (std::size_t i = 0; i < H2Connection::kKeylessStreamsMax; ++i) client.Open("/anybody");
  EXPECT_EQ(client.Await(client.Open("/anybody")).status(), "8");
  const std::uint32_t keyed = client.Open("/echo");
  EXPECT_EQ(client.Await(client.Call("/anybody", "whole")).messages, std::vector<std::string>{"whole"});
  client.SendFrame(Client::kData, Client::kEndStream, keyed, Client::Message("late"));
  EXPECT_EQ(client.Await(keyed).messages, std::vector<std::string>{"late"});
  EXPECT_EQ(handled(), 2U);
}

TEST_F(H2LimitsTest, OpenStreamsCountAsHeld) {
  options_.buffer_bytes_max = 64 << 10;
  options_.message_bytes_max = 1 << 10;
  Start();
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < 60; ++i) {
    if (i % 15 == 0) clients.push_back(std::make_unique<Client>(server_->address()));
    clients.back()->Open("/hold");
  }
  Client client(server_->address());
  const auto is_crowded = [&] {
    return client.Await(client.Call("/crowded", "")).messages == std::vector<std::string>{"yes"};
  };
  Await(is_crowded, "the heads of calls fill what there is");
  AwaitInTime(
      [&] {
        for (const auto& waiting : clients) waiting->Send(Client::FrameOf(Client::kPing, 0, 0, "12345678"));
        return !is_crowded();
      },
      "some are ended to make room, whatever PINGs they send");
  EXPECT_EQ(Metric("muster_http_connections_shed_total{server=\"grpc\"}"), 2) << "a quarter is free";
  EXPECT_EQ(OpenConnections(), 3);
}

TEST_F(H2LimitsTest, AnIdleConnectionIsAskedToLeave) {
  Start();
  Client client(server_->address());
  EXPECT_EQ(client.Await(client.Call("/echo", "x")).status(), "0");
  const std::jthread time([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) AdvanceClock(std::chrono::seconds(1));
  });
  auto goaway = client.NextOf(Client::kGoAway);
  ASSERT_TRUE(goaway);
  EXPECT_EQ(goaway->Number(0), 0x7fffffffU);
  goaway = client.NextOf(Client::kGoAway);
  ASSERT_TRUE(goaway);
  EXPECT_EQ(goaway->Number(0), 1U);
  EXPECT_EQ(goaway->Number(4), 0U);
  EXPECT_TRUE(client.AwaitEnd());
}

TEST_F(H2LimitsTest, ASourceStopsAtItsBoundUntilItsClientReads) {
  Start();
  Client client(server_->address(), Client::Setting(4, 100));
  const std::uint32_t stream = client.Open("/flood");
  client.SendFrame(Client::kData, 0, stream, Client::Message("go"));
  const auto flooded = [&] {
    const std::lock_guard lock(mutex_);
    return flooded_;
  };
  Await([&] { return flooded() > 0; }, "it begins");
  EXPECT_EQ(client.Await(client.Call("/echo", "")).status(), "0") << "others go on";
  const std::size_t before = flooded();
  EXPECT_LE(before, GrpcStream::kUnsentBytesMax / 1000 + 1);
  client.Allow(stream, 50'000);
  Await([&] { return flooded() > before; }, "it goes on");
  EXPECT_LE(flooded(), before + 51);
}

TEST_F(H2LimitsTest, AStreamThatIsNotReadIsReset) {
  options_.write_timeout_ms = 3'000;
  Start();
  Client client(server_->address(), Client::Setting(4, 100));
  const std::uint32_t stream = client.Open("/flood");
  client.SendFrame(Client::kData, 0, stream, Client::Message("go"));
  const std::uint32_t unary = client.Call("/size", "1000");
  Await([&] { return handled() == 1 && sources() == 1; }, "both are answered");
  AwaitInTime([&] { return sources() == 0; }, "the source is gone");
  EXPECT_EQ(client.Await(unary).reset, kCancel);
  EXPECT_EQ(client.Await(stream).reset, kCalm);
  EXPECT_EQ(client.Await(client.Call("/echo", "")).status(), "0");
}

TEST_F(H2LimitsTest, AClientThatReadsNothingIsClosed) {
  Start();
  Client client(server_->address(), Client::Setting(4, 0x7fffffff), true, 4096);
  client.SendFrame(Client::kWindowUpdate, 0, 0, Client::Number(0x7f000000));
  for (int i = 0; i < 100; ++i) client.Call("/size", "200000");
  Await([&] { return handled() > 0; }, "it begins");
  AwaitInTime([&] { return OpenConnections() == 0; }, "it is closed");
  EXPECT_LT(handled(), 100U) << "calls wait while answers are unsent";
}

TEST_F(H2LimitsTest, WhatIsHeldIsBoundedOverAllConnections) {
  options_.buffer_bytes_max = 1 << 20;
  options_.message_bytes_max = 256 << 10;
  Start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 30; ++i) {
    clients.push_back(std::make_unique<Client>(server_->address()));
    const std::uint32_t stream = clients.back()->Open("/echo");
    const std::string framed = Client::Message(std::string(200'000, 'x'));
    for (std::size_t at = 0; at < 60'000; at += 15'000) {
      clients.back()->SendFrame(Client::kData, 0, stream, std::string_view(framed).substr(at, 15'000));
    }
  }
  const auto outcome = clients.back()->Await(1);
  EXPECT_EQ(outcome.status(), "8");
  EXPECT_EQ(handled(), 0U);
}

TEST_F(H2LimitsTest, DrainingAnswersWhatIsUnderWayAndSaysGoodBye) {
  Start();
  Client client(server_->address());
  const std::uint32_t held_call = client.Call("/hold", "x");
  const std::uint32_t stream = client.Open("/stream");
  Await([&] { return held() == 1 && sources() == 1; }, "both are under way");
  std::jthread drain([this] { server_->Drain(); });
  auto goaway = client.NextOf(Client::kGoAway);
  ASSERT_TRUE(goaway);
  EXPECT_EQ(goaway->Number(0), 0x7fffffffU);
  const auto ping = client.NextOf(Client::kPing);
  ASSERT_TRUE(ping);
  EXPECT_EQ(client.Await(stream).status(), "14");
  // Sent before the client knew: it is served.
  const std::uint32_t late = client.Call("/echo", "late");
  client.SendFrame(Client::kPing, Client::kAck, 0, ping->payload);
  EXPECT_THAT(client.Await(late).messages, ElementsAre("late"));
  ReleaseAll();
  EXPECT_THAT(client.Await(held_call).messages, ElementsAre("released"));
  EXPECT_TRUE(client.AwaitEnd());
  // The client does not close: the server lingers for a while.
  const std::jthread time([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) AdvanceClock(std::chrono::seconds(1));
  });
  drain.join();
}

TEST_F(H2LimitsTest, DrainingEndsWithoutClientsHelp) {
  Start();
  Client client(server_->address());
  client.Call("/hold", "x");
  Await([&] { return held() == 1; }, "it is under way");
  const std::jthread time([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) AdvanceClock(std::chrono::seconds(1));
  });
  server_->Drain();
  EXPECT_EQ(OpenConnections(), 0);
}

}  // namespace
}  // namespace muster
