#include "lab/proxy.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <numeric>

#include "lab/testing/loopback.h"

namespace muster::lab {
namespace {

using std::chrono::milliseconds;
using testing::AwaitThat;
using testing::Listener;
using testing::Peer;

// A proxy before a server in center B. Who connects is said by the test: the test's own process is of no lab.
class ProxyTest : public ::testing::Test {
 protected:
  ProxyTest() : port_(testing::FreeLoopbackPort()), outside_port_(testing::FreeLoopbackPort()) {
    auto started = Proxy::Start(
        {{.name = "server", .listen_port = port_, .target_port = server_.port(), .center = Center::kB},
         {.name = "past", .listen_port = outside_port_, .target_port = server_.port(), .center = Center::kB}},
        {.clock = &clock_, .logger = &NullLogger(), .links = &links_, .locate = [this](auto, std::uint16_t port) {
           if (port == outside_port_) return Connector{.who = Connector::Who::kOutsider};
           return Connector{.who = Connector::Who::kComponent, .center = from_.load()};
         }});
    MUSTER_CHECK(started.has_value());
    proxy_ = std::move(*started);
  }

  // A connection that works.
  std::pair<Peer, Peer> Open() {
    Peer client = Peer::Connect(port_);
    Peer server = Peer::Accept(server_);
    return {std::move(client), std::move(server)};
  }
  // Whatever was sent before has passed through the proxy by now, if it passes at all: its one thread has seen it.
  void PassOnce() {
    for (int i = 0; i < 3; ++i) {
      Peer client = Peer::Connect(outside_port_);
      Peer server = Peer::Accept(server_);
      client.Send("x");
      ASSERT_EQ(server.Receive(1), "x");
      server.Send("y");
      ASSERT_EQ(client.Receive(1), "y");
    }
  }
  void Set(Center from, Center to, const LinkCondition& condition) {
    links_.Change(from, to, [&](LinkCondition& link) { link = condition; });
  }
  void Partition() {
    Set(Center::kA, Center::kB, {.is_cut = true});
    Set(Center::kB, Center::kA, {.is_cut = true});
  }

  const SystemClock clock_;
  Links links_;
  Listener server_;
  const std::uint16_t port_;
  const std::uint16_t outside_port_;
  std::atomic<Center> from_{Center::kA};
  std::unique_ptr<Proxy> proxy_;
};

std::string Numbered(std::size_t count) {
  std::string text(count, '\0');
  for (std::size_t i = 0; i < count; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return text;
}

TEST_F(ProxyTest, PassesBytesBothWays) {
  auto [client, server] = Open();
  const std::string question = Numbered(1'000'000);
  std::thread sender([&client, &question] { client.Send(question); });
  EXPECT_EQ(server.Receive(question.size()), question);
  sender.join();
  server.Send("answer");
  EXPECT_EQ(client.Receive(6), "answer");
}

TEST_F(ProxyTest, AnEndOfOneDirectionLeavesTheOther) {
  auto [client, server] = Open();
  client.Send("all there is");
  client.Finish();
  EXPECT_EQ(server.Receive(100), "all there is");
  EXPECT_EQ(server.ReceiveEnd(), "end");
  server.Send("and still an answer");
  server.Finish();
  EXPECT_EQ(client.Receive(100), "and still an answer");
  EXPECT_EQ(client.ReceiveEnd(), "end");
  EXPECT_TRUE(AwaitThat([&] { return proxy_->open() == 0; }));
}

TEST_F(ProxyTest, AResetIsPassedOn) {
  auto [client, server] = Open();
  client.Send("x");
  ASSERT_EQ(server.Receive(1), "x");
  client.Reset();
  EXPECT_EQ(server.ReceiveEnd(), "reset");
  EXPECT_TRUE(AwaitThat([&] { return proxy_->open() == 0; }));
}

TEST_F(ProxyTest, AServerThatIsGoneResetsTheClient) {
  server_.Close();
  Peer client = Peer::Connect(port_);
  EXPECT_EQ(client.ReceiveEnd(), "reset");
}

TEST_F(ProxyTest, ADelayIsThatOfEachDirection) {
  Set(Center::kA, Center::kB, {.delay = milliseconds(60)});
  Set(Center::kB, Center::kA, {.delay = milliseconds(30)});
  const Instant begin = clock_.Monotonic();
  auto [client, server] = Open();
  EXPECT_GE(clock_.Monotonic() - begin, milliseconds(90)) << "a handshake takes a round trip";
  const Instant asked = clock_.Monotonic();
  client.Send("question");
  ASSERT_EQ(server.Receive(8), "question");
  EXPECT_GE(clock_.Monotonic() - asked, milliseconds(60));
  const Instant answered = clock_.Monotonic();
  server.Send("answer");
  ASSERT_EQ(client.Receive(6), "answer");
  EXPECT_GE(clock_.Monotonic() - answered, milliseconds(30));
}

TEST_F(ProxyTest, BytesKeepTheirOrderWhenADelayGoes) {
  auto [client, server] = Open();
  Set(Center::kA, Center::kB, {.delay = milliseconds(100)});
  client.Send("first ");
  PassOnce();
  Set(Center::kA, Center::kB, {});
  client.Send("second");
  EXPECT_EQ(server.Receive(12), "first second");
}

TEST_F(ProxyTest, APartitionIsSilentAndItsEndLetsAllGoOn) {
  auto [client, server] = Open();
  Partition();
  client.Send("question");
  server.Send("news");
  PassOnce();
  EXPECT_FALSE(server.IsReadable());
  EXPECT_FALSE(client.IsReadable());
  links_.HealAll();
  EXPECT_EQ(server.Receive(8), "question");
  EXPECT_EQ(client.Receive(4), "news");
}

TEST_F(ProxyTest, WhatIsUnderWayWhenTheLinkIsCutWaits) {
  auto [client, server] = Open();
  Set(Center::kA, Center::kB, {.delay = milliseconds(50)});
  client.Send("late");
  PassOnce();
  Partition();
  const Instant cut = clock_.Monotonic();
  while (clock_.Monotonic() - cut < milliseconds(60)) PassOnce();
  EXPECT_FALSE(server.IsReadable());
  links_.HealAll();
  EXPECT_EQ(server.Receive(4), "late");
}

TEST_F(ProxyTest, ANewConnectionHangsInAPartition) {
  Partition();
  Peer client = Peer::Connect(port_);  // the kernel's doing; nothing has arrived
  client.Send("hello");
  PassOnce();
  EXPECT_FALSE(server_.HasCaller());
  EXPECT_FALSE(client.IsReadable());
  links_.HealAll();
  Peer server = Peer::Accept(server_);
  EXPECT_EQ(server.Receive(5), "hello");
}

TEST_F(ProxyTest, WhoGivesUpInAPartitionIsForgotten) {
  Partition();
  {
    Peer client = Peer::Connect(port_);
    client.Send("hello");
    ASSERT_TRUE(AwaitThat([&] { return proxy_->open() == 1; }));
  }
  EXPECT_TRUE(AwaitThat([&] { return proxy_->open() == 0; }));
  links_.HealAll();
  PassOnce();
  EXPECT_FALSE(server_.HasCaller());
}

TEST_F(ProxyTest, NeitherAnEndNorAResetPassesAPartition) {
  auto [client, server] = Open();
  auto [other_client, other_server] = Open();
  Partition();
  client.Close();
  other_client.Reset();
  PassOnce();
  EXPECT_FALSE(server.IsReadable());
  EXPECT_FALSE(other_server.IsReadable());
  links_.HealAll();
  EXPECT_EQ(server.ReceiveEnd(), "end");
  EXPECT_EQ(other_server.ReceiveEnd(), "reset");
}

TEST_F(ProxyTest, LossIsOneWay) {
  auto [client, server] = Open();
  Set(Center::kA, Center::kB, {.is_cut = true});
  client.Send("lost");
  server.Send("heard");
  EXPECT_EQ(client.Receive(5), "heard");
  PassOnce();
  EXPECT_FALSE(server.IsReadable());
}

TEST_F(ProxyTest, ALinkConcernsWhoeverIsAtItsEnds) {
  Partition();
  from_ = Center::kWitness;
  auto [client, server] = Open();
  client.Send("from the witness");
  EXPECT_EQ(server.Receive(16), "from the witness");
  PassOnce();  // and outsiders have no link
  Set(Center::kWitness, Center::kB, {.is_cut = true});
  client.Send("x");
  PassOnce();
  EXPECT_FALSE(server.IsReadable());
}

TEST_F(ProxyTest, AThrottledLinkIsSharedByItsConnections) {
  constexpr std::int64_t kRate = 200'000;
  constexpr std::size_t kEach = 50'000;
  auto [client, server] = Open();
  auto [other_client, other_server] = Open();
  Set(Center::kA, Center::kB, {.bytes_per_second = kRate});
  const std::string text = Numbered(kEach);
  const Instant begin = clock_.Monotonic();
  client.Send(text);
  other_client.Send(text);
  EXPECT_EQ(server.Receive(kEach), text);
  EXPECT_EQ(other_server.Receive(kEach), text);
  // A burst is a twentieth of a second's.
  EXPECT_GE(clock_.Monotonic() - begin, milliseconds(400));
}

TEST_F(ProxyTest, WhoDoesNotReadHoldsTheSenderUp) {
  constexpr std::size_t kFar = 64 << 20;
  auto [client, server] = Open();
  const std::string chunk = Numbered(1 << 20);
  std::string sent;
  for (;;) {
    pollfd waiting{.fd = client.number(), .events = POLLOUT, .revents = 0};
    if (::poll(&waiting, 1, 300) == 0) break;
    const std::size_t at = sent.size() % chunk.size();
    const ssize_t size = ::send(client.number(), chunk.data() + at, chunk.size() - at, MSG_DONTWAIT | MSG_NOSIGNAL);
    ASSERT_GT(size, 0);
    sent.append(chunk, at, static_cast<std::size_t>(size));
    ASSERT_LT(sent.size(), kFar) << "nobody reads, and still more is taken";
  }
  EXPECT_TRUE(server.Receive(sent.size()) == sent);
}

TEST_F(ProxyTest, APortThatIsTakenIsNamed) {
  const auto again = Proxy::Start({{.name = "other", .listen_port = port_, .target_port = 1, .center = Center::kA}},
                                  {.clock = &clock_, .logger = &NullLogger(), .links = &links_, .locate = {}});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().reason, Reason::kStateConflict);
  EXPECT_NE(again.error().message.find(std::to_string(port_)), std::string::npos);
}

}  // namespace
}  // namespace muster::lab
