#include "cache/redis/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/redis/command.h"
#include "cache/redis/scripts.h"
#include "cache/redis/testing/redis_fixture.h"

namespace muster::redis {
namespace {

using muster::testing::PollLoop;
using muster::testing::RedisServer;
using muster::testing::SharedRedis;
using std::chrono::milliseconds;

class RedisConnectionTest : public ::testing::Test {
 protected:
  RedisConnectionTest() { settings_.scripts = ScriptTexts(); }

  void Open(const RedisServer& server) {
    Connection::Listener listener{
        .up = [this] { ++ups_; }, .down = [this](Fault fault) { downs_.push_back(fault); }, .pushed = nullptr};
    connection_.emplace(*ParseEndpoint(server.endpoint()), settings_, loop_, *timer_, random_, std::move(listener));
    connection_->Open();
  }
  bool AwaitUp(int times = 1) {
    return loop_.RunUntil([&] { return ups_ >= times && connection_->is_up(); });
  }
  bool AwaitDown(Fault fault) {
    return loop_.RunUntil([&] { return !downs_.empty() && downs_.back() == fault; });
  }
  Deadline In(milliseconds time) { return Deadline::After(clock_, time); }

  // Answers as texts, in their order; a failure by its name.
  OutcomeReply Note() {
    return [this](const Outcome& outcome) {
      answers_.emplace_back(outcome ? std::string(outcome->view().text().value_or("?"))
                                    : std::string(FaultName(outcome.error().fault)));
    };
  }
  bool AwaitAnswers(std::size_t count) {
    return loop_.RunUntil([&] { return answers_.size() >= count; });
  }

  PollLoop loop_;
  SystemClock clock_;
  SystemRandom random_;
  const std::unique_ptr<LoopTimer> timer_ = LoopTimer::Make(loop_, clock_).value();
  ConnectionSettings settings_;
  std::optional<Connection> connection_;
  int ups_ = 0;
  std::vector<Fault> downs_;
  std::vector<std::string> answers_;
};

TEST_F(RedisConnectionTest, RequestsOfATurnLeaveInOneWriteAndAreAnsweredInTheirOrder) {
  Open(SharedRedis());
  ASSERT_TRUE(AwaitUp());
  EXPECT_TRUE(connection_->facts().is_primary);
  const std::uint64_t before = connection_->writes();
  std::vector<std::string> expected;
  for (int i = 0; i < 500; ++i) {
    connection_->Send(MakeCommand("ECHO", expected.emplace_back(std::to_string(i))), In(milliseconds(5000)), Note());
  }
  ASSERT_TRUE(AwaitAnswers(500));
  EXPECT_EQ(answers_, expected);
  EXPECT_LE(connection_->writes() - before, 2U) << "a probe may have come between";
}

TEST_F(RedisConnectionTest, LargeAnswersAndRequestsPass) {
  Open(SharedRedis());
  ASSERT_TRUE(AwaitUp());
  const std::string large(5 << 20, 'x');
  connection_->Send(MakeCommand("ECHO", large), In(milliseconds(10'000)), Note());
  connection_->Send(MakeCommand("ECHO", "small"), In(milliseconds(10'000)), Note());
  ASSERT_TRUE(AwaitAnswers(2));
  EXPECT_EQ(answers_[0].size(), large.size());
  EXPECT_EQ(answers_[1], "small");
}

TEST_F(RedisConnectionTest, AnErrorIsAnAnswer) {
  Open(SharedRedis());
  ASSERT_TRUE(AwaitUp());
  connection_->Send(MakeCommand("NOSUCHCOMMAND", "+8613800000000"), In(milliseconds(5000)), Note());
  connection_->Send(MakeCommand("EVALSHA", std::string(40, '0'), 0), In(milliseconds(5000)), Note());
  connection_->Send(MakeCommand("ECHO", "on"), In(milliseconds(5000)), Note());
  ASSERT_TRUE(AwaitAnswers(3));
  EXPECT_EQ(answers_, (std::vector<std::string>{"refused", "no_script", "on"}));
}

TEST_F(RedisConnectionTest, WhoIsLateIsAnsweredAtHisDeadlineAndTheOrderStays) {
  RedisServer server;
  settings_.stall_timeout = std::chrono::seconds(10);
  Open(server);
  ASSERT_TRUE(AwaitUp());
  server.Freeze();
  connection_->Send(MakeCommand("ECHO", "late"), In(milliseconds(20)), Note());
  connection_->Send(MakeCommand("ECHO", "in time"), In(milliseconds(10'000)), Note());
  ASSERT_TRUE(AwaitAnswers(1));
  EXPECT_EQ(answers_[0], "timed_out");
  server.Thaw();
  ASSERT_TRUE(AwaitAnswers(2));
  EXPECT_EQ(answers_[1], "in time");
  EXPECT_TRUE(downs_.empty());
}

TEST_F(RedisConnectionTest, AServerThatStandsStillIsLeftAndFoundAgain) {
  RedisServer server;
  settings_.stall_timeout = milliseconds(100);
  Open(server);
  ASSERT_TRUE(AwaitUp());
  server.Freeze();
  connection_->Send(MakeCommand("ECHO", "lost"), Deadline(), Note());
  ASSERT_TRUE(AwaitDown(Fault::kTimedOut));
  EXPECT_EQ(answers_, std::vector<std::string>{"unreachable"});
  connection_->Send(MakeCommand("ECHO", "not sent"), Deadline(), Note());
  EXPECT_EQ(answers_.size(), 2U) << "without a connection the answer is there at once";
  server.Thaw();
  ASSERT_TRUE(AwaitUp(2));
}

TEST_F(RedisConnectionTest, AServerThatDiedIsFoundAgainAsAnother) {
  RedisServer server;
  Open(server);
  ASSERT_TRUE(AwaitUp());
  const std::string identity = connection_->facts().identity;
  server.Freeze();
  for (int i = 0; i < 10; ++i) connection_->Send(MakeCommand("ECHO", "lost"), Deadline(), Note());
  loop_.RunTurn(milliseconds(1));
  server.Kill();
  ASSERT_TRUE(AwaitAnswers(10));
  EXPECT_EQ(answers_, std::vector<std::string>(10, "unreachable"));
  server.Start();
  ASSERT_TRUE(AwaitUp(2));
  EXPECT_NE(connection_->facts().identity, identity);
}

TEST_F(RedisConnectionTest, NoMoreThanItsBoundIsOutstanding) {
  settings_.outstanding_max = 10;
  Open(SharedRedis());
  ASSERT_TRUE(AwaitUp());
  for (int i = 0; i < 12; ++i) connection_->Send(MakeCommand("ECHO", "yes"), In(milliseconds(5000)), Note());
  EXPECT_EQ(answers_, std::vector<std::string>(2, "too_many"));
  ASSERT_TRUE(AwaitAnswers(12));
  EXPECT_EQ(answers_.back(), "yes");
}

TEST_F(RedisConnectionTest, AWrongPasswordIsSaidAndTheRightOneWorks) {
  RedisServer server({"--requirepass", "right"});
  settings_.credentials.password = "wrong";
  Open(server);
  ASSERT_TRUE(AwaitDown(Fault::kAuthentication));
  connection_.reset();
  settings_.credentials = {};
  Open(server);
  ASSERT_TRUE(AwaitDown(Fault::kAuthentication));
  connection_.reset();
  settings_.credentials.password = "right";
  Open(server);
  EXPECT_TRUE(AwaitUp());
}

TEST_F(RedisConnectionTest, AServerThatMayEvictFloorsIsNotUsed) {
  RedisServer server;
  Open(server);
  ASSERT_TRUE(AwaitUp());
  server.Run({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
  ASSERT_TRUE(AwaitDown(Fault::kUnsafePolicy));
  server.Run({"CONFIG", "SET", "maxmemory-policy", "volatile-lru"});
  EXPECT_TRUE(AwaitUp(2));
}

TEST_F(RedisConnectionTest, AReplicaIsNotUsedNorAPrimaryThatBecameOne) {
  RedisServer primary, replica({"--replicaof", "127.0.0.1", std::to_string(primary.port())});
  Open(replica);
  ASSERT_TRUE(AwaitDown(Fault::kReadOnly));
  replica.Run({"REPLICAOF", "NO", "ONE"});
  ASSERT_TRUE(AwaitUp());
  replica.Run({"REPLICAOF", "127.0.0.1", std::to_string(primary.port())});
  downs_.clear();
  ASSERT_TRUE(AwaitDown(Fault::kReadOnly));
}

TEST_F(RedisConnectionTest, WhatIsNoRedisIsLeft) {
  // A server of another protocol would answer such bytes; a channel of messages sends what nobody asked for.
  Open(SharedRedis());
  ASSERT_TRUE(AwaitUp());
  connection_->Send(MakeCommand("SUBSCRIBE", "one", "two"), In(milliseconds(5000)), Note());
  EXPECT_TRUE(AwaitDown(Fault::kMalformed));
}

TEST_F(RedisConnectionTest, ItsEndAnswersWhatIsOutstanding) {
  Open(SharedRedis());
  ASSERT_TRUE(AwaitUp());
  connection_->Send(MakeCommand("ECHO", "lost"), Deadline(), Note());
  connection_.reset();
  EXPECT_EQ(answers_, std::vector<std::string>{"unreachable"});
  loop_.RunTurn(milliseconds(1));  // what it had deferred finds it gone
}

TEST(RedisLoopTimer, AlarmsGoOffInTheirOrderOnceAndNotWhenTheyEnded) {
  PollLoop loop;
  const SystemClock clock;
  const std::unique_ptr<LoopTimer> timer = LoopTimer::Make(loop, clock).value();
  std::vector<int> rung;
  LoopTimer::Alarm first(*timer), second(*timer), never(*timer), again(*timer);
  auto ended = std::make_unique<LoopTimer::Alarm>(*timer);
  auto ends_itself = std::make_unique<LoopTimer::Alarm>(*timer);
  const Instant begun = clock.Monotonic();
  second.Set(milliseconds(4), [&] { rung.push_back(2); });
  first.Set(milliseconds(1), [&] { rung.push_back(1); });
  never.Set(milliseconds(1), [&] { rung.push_back(-1); });
  never.Cancel();
  ended->Set(milliseconds(1), [&] { rung.push_back(-2); });
  ended.reset();
  ends_itself->Set(milliseconds(5), [&] {
    ends_itself.reset();
    rung.push_back(3);
  });
  again.Set(milliseconds(1), [&] { rung.push_back(-3); });
  again.Set(milliseconds(8), [&] { again.Set(milliseconds(1), [&] { rung.push_back(4); }); });
  ASSERT_TRUE(loop.RunUntil([&] { return rung.size() >= 4; }));
  EXPECT_EQ(rung, (std::vector<int>{1, 2, 3, 4}));
  EXPECT_GE(clock.Monotonic() - begun, milliseconds(9));
}

}  // namespace
}  // namespace muster::redis
