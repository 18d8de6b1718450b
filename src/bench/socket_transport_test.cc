#include "bench/socket_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <map>

#include "bench/http_channel.h"
#include "bench/load_worker.h"
#include "bench/testing/delaying_server.h"

namespace muster::socket_transport_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr std::array kIds = {MemberId(42)};
const LoadCall kGet{.verb = LoadVerb::kGet, .ids = kIds};

struct Collected final : LoadAnswerSink {
  void OnAnswer(const LoadAnswer& answer) override {
    kinds[answer.token] = answer.kind;
    codes[answer.token] = answer.is_success ? "ok" : std::string(answer.code);
  }
  std::map<std::uint32_t, LoadAnswer::Kind> kinds;
  std::map<std::uint32_t, std::string> codes;
};

std::unique_ptr<LoadTransport> Connected(const std::string& url, std::uint32_t connections, std::uint32_t pipeline = 1,
                                         BenchTime timeout = seconds(30)) {
  auto transport = MakeHttpTransport({.target = ResolveHttpTarget(url).value(),
                                      .key = "mk_key",
                                      .connections = connections,
                                      .depth = pipeline,
                                      .timeout = timeout});
  (*transport)->Open((*transport)->Now() + seconds(30));
  return std::move(*transport);
}

// Polls until so many answers are there; a test that waits in vain fails by its deadline.
void Await(LoadTransport& transport, Collected& collected, std::size_t answers) {
  const BenchTime deadline = transport.Now() + seconds(60);
  while (collected.kinds.size() < answers && transport.Now() < deadline)
    transport.Poll(transport.Now() + milliseconds(100), collected);
  ASSERT_EQ(collected.kinds.size(), answers);
}

DelayingServer::Decide AtOnce(std::string bytes = DelayingServer::kOk) {
  return [bytes](std::uint64_t, DelayingServer::Time arrived) {
    return DelayingServer::Reply{.at = arrived, .bytes = bytes};
  };
}

TEST(SocketTransportTest, AnswersComeBackToTheirRequests) {
  DelayingServer server([](std::uint64_t n, DelayingServer::Time arrived) {
    return DelayingServer::Reply{.at = arrived,
                                 .bytes = n % 2 == 0 ? DelayingServer::kOk
                                                     : "HTTP/1.1 503 X\r\nContent-Length: "
                                                       "21\r\n\r\n{\"code\":\"OVERLOADED\"}"};
  });
  const auto transport = Connected(server.url(), 1, 4);
  EXPECT_EQ(transport->capacity(), 4U);
  Collected collected;
  for (std::uint32_t token = 0; token < 4; ++token) {
    ASSERT_EQ(transport->state(), LoadTransport::State::kReady);
    transport->Send(kGet, token);
  }
  EXPECT_EQ(transport->state(), LoadTransport::State::kBusy);
  Await(*transport, collected, 4);
  EXPECT_EQ(collected.codes[0], "ok");
  EXPECT_EQ(collected.codes[1], "503 OVERLOADED");
  EXPECT_EQ(collected.codes[2], "ok");
  EXPECT_EQ(transport->state(), LoadTransport::State::kReady);
}

TEST(SocketTransportTest, RequestsSpreadOverTheConnections) {
  DelayingServer server(AtOnce());
  const auto transport = Connected(server.url(), 8);
  Collected collected;
  for (std::uint32_t token = 0; token < 8; ++token) transport->Send(kGet, token);
  EXPECT_EQ(transport->state(), LoadTransport::State::kBusy);
  Await(*transport, collected, 8);
  EXPECT_EQ(server.connections(), 8U);
}

TEST(SocketTransportTest, AConnectionThatEndsIsOpenedAgain) {
  DelayingServer server([](std::uint64_t n, DelayingServer::Time arrived) {
    return DelayingServer::Reply{.at = arrived, .bytes = n == 0 ? "" : DelayingServer::kOk};
  });
  const auto transport = Connected(server.url(), 1);
  Collected collected;
  transport->Send(kGet, 0);
  Await(*transport, collected, 1);
  EXPECT_EQ(collected.kinds[0], LoadAnswer::Kind::kBroken);
  EXPECT_EQ(collected.codes[0], "connection");
  transport->Open(transport->Now() + seconds(30));
  ASSERT_EQ(transport->state(), LoadTransport::State::kReady);
  transport->Send(kGet, 1);
  Await(*transport, collected, 2);
  EXPECT_EQ(collected.codes[1], "ok");
}

TEST(SocketTransportTest, AServerThatClosesAfterEachAnswerIsServedAnyway) {
  DelayingServer server(AtOnce("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
  const auto transport = Connected(server.url(), 1);
  Collected collected;
  for (std::uint32_t token = 0; token < 3; ++token) {
    transport->Open(transport->Now() + seconds(30));
    transport->Send(kGet, token);
    Await(*transport, collected, token + 1);
    EXPECT_EQ(collected.codes[token], "ok");
  }
}

TEST(SocketTransportTest, WhatIsNoAnswerBreaksTheConnection) {
  DelayingServer server(AtOnce("HELO\r\n\r\n"));
  const auto transport = Connected(server.url(), 1);
  Collected collected;
  transport->Send(kGet, 0);
  Await(*transport, collected, 1);
  EXPECT_EQ(collected.kinds[0], LoadAnswer::Kind::kBroken);
}

TEST(SocketTransportTest, AnAnswerThatDoesNotComeTimesOut) {
  DelayingServer server([](std::uint64_t, DelayingServer::Time arrived) {
    return DelayingServer::Reply{.at = arrived + std::chrono::hours(1)};
  });
  const auto transport = Connected(server.url(), 1, 1, milliseconds(50));
  Collected collected;
  transport->Send(kGet, 0);
  Await(*transport, collected, 1);
  EXPECT_EQ(collected.kinds[0], LoadAnswer::Kind::kTimedOut);
  EXPECT_EQ(collected.codes[0], "timeout");
}

TEST(SocketTransportTest, AServerThatIsGoneIsDown) {
  std::string url;
  {
    DelayingServer server(AtOnce());
    url = server.url();
  }
  const auto transport = MakeHttpTransport({.target = ResolveHttpTarget(url).value(), .key = "", .connections = 3});
  Collected collected;
  const BenchTime deadline = (*transport)->Now() + seconds(60);
  while ((*transport)->state() != LoadTransport::State::kDown && (*transport)->Now() < deadline)
    (*transport)->Poll((*transport)->Now() + milliseconds(20), collected);
  EXPECT_EQ((*transport)->state(), LoadTransport::State::kDown);
  EXPECT_TRUE(collected.kinds.empty());
}

// The whole generator against a real socket. The server answers at once, but from the hundredth request on it is silent
// for one second. One-sided bounds only: a machine that is busy makes requests later still.
TEST(SocketTransportTest, AStallOfOneSecondIsSeenOverARealSocket) {
  std::atomic<DelayingServer::Time> stall_end{DelayingServer::Time{0}};
  DelayingServer server([&](std::uint64_t n, DelayingServer::Time arrived) {
    if (n == 100) stall_end = arrived + seconds(1);
    return DelayingServer::Reply{.at = std::max(arrived, stall_end.load())};
  });
  const auto transport = Connected(server.url(), 4);
  Population population;
  population.members.emplace_back(1);
  CallMaker calls({.mix = ParseLoadMix("get=1").value()}, population);
  LoadWorker worker(
      {.rate = 200, .duration = seconds(3), .patience = seconds(30)}, calls, *transport, [] { return ThreadUsage{}; },
      [](LoadWindow&&) {});
  const std::atomic<bool> stop = false;
  worker.Run(transport->Now(), stop);
  const LatencyHistogram latency = worker.measurement().Latency();
  EXPECT_EQ(latency.count(), 600U);
  EXPECT_EQ(worker.measurement().succeeded() + worker.measurement().failed(), 600U);
  EXPECT_GE(latency.max(), seconds(1));
  // A hundred were due in the first half of the stall.
  EXPECT_GE(latency.CountFrom(milliseconds(490)), 90U);
  EXPECT_GE(worker.measurement().Service().max(), seconds(1));
}

TEST(HttpTargetTest, ReadsUrls) {
  EXPECT_EQ(ResolveHttpTarget("http://127.0.0.1:7400").value().host, "127.0.0.1:7400");
  EXPECT_EQ(ResolveHttpTarget("http://[::1]:7400/").value().host, "[::1]:7400");
  EXPECT_EQ(ResolveHttpTarget("http://127.0.0.1").value().host, "127.0.0.1");
}

TEST(HttpTargetTest, WrongOnesSayWhatToDo) {
  EXPECT_THAT(ResolveHttpTarget("https://h:1").error().message, HasSubstr("http://HOST:PORT"));
  for (const char* url : {"http://", "http://:7400", "http://127.0.0.1:x", "http://127.0.0.1:1/path", "http://[::1"})
    EXPECT_THAT(ResolveHttpTarget(url).error().message, HasSubstr("--server")) << url;
}

}  // namespace
}  // namespace muster::socket_transport_test
