// What happens to a Redis, and what becomes of the cache then: never an older answer, and a writer that is told the
// truth.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "cache/redis/keys.h"
#include "cache/redis/testing/redis_fixture.h"

namespace muster {
namespace {

using std::chrono::milliseconds;
using testing::CenterDocument;
using testing::RedisCenters;
using testing::RedisServer;

bool AwaitUnreachable(RedisCenters& centers, int view = 0) {
  return centers.RunUntil([&] { return !centers.view(view).IsReachable(); });
}

TEST(RedisFaults, AServerThatRestartedFromItsFileIsNotBelieved) {
  RedisServer server({"--save", "3600 1"});
  RedisCenters centers(RedisCenters::Options({server.endpoint()}));
  centers.BeginAndUse(Epoch(1));
  ASSERT_TRUE(centers.Fill(1, 1));
  server.Run({"SAVE"});
  ASSERT_EQ(centers.Touch(1, 2).kind, InvalidationKind::kDone);  // not in the file
  server.Kill();
  EXPECT_EQ(centers.Get(1).kind, LookupKind::kUnusable);
  EXPECT_EQ(centers.Touch(1, 3).kind, InvalidationKind::kUnreachable);
  server.Start();
  ASSERT_TRUE(centers.AwaitReachable());
  ASSERT_NE(server.Run({"DBSIZE"}), "0") << "it has its old data";
  for (int view = 0; view < 2; ++view) {
    EXPECT_EQ(centers.Get(1, view).kind, LookupKind::kUnusable);
    EXPECT_EQ(centers.Touch(1, 3, view).kind, InvalidationKind::kLost);
  }
  // A process that begins now believes it no more than one that saw it die.
  RedisCenters late(centers.options, 1);
  late.state = centers.state;
  ASSERT_TRUE(late.AwaitReachable());
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(late.Get(1).kind, LookupKind::kUnusable);
    EXPECT_EQ(late.Touch(1, 3).kind, InvalidationKind::kLost);
  }
  const Result<bool> same = centers.Begin(Epoch(1));
  ASSERT_FALSE(same);
  EXPECT_EQ(same.error().reason, Reason::kStateConflict);
  centers.BeginAndUse(Epoch(2));
  EXPECT_EQ(centers.Get(1).kind, LookupKind::kMiss);
}

TEST(RedisFaults, AReplicaThatWasPromotedIsNotBelieved) {
  RedisServer primary, replica({"--replicaof", "127.0.0.1", std::to_string(primary.port())});
  ASSERT_TRUE(replica.Await({"INFO", "replication"}, "master_link_status:up"));
  RedisCenters centers(RedisCenters::Options({replica.endpoint(), primary.endpoint()}));
  centers.BeginAndUse(Epoch(1));
  ASSERT_TRUE(centers.Fill(1, 1));
  const redis::Keys keys(centers.options.prefix);
  const std::string key = keys.Value(Epoch(1), redis::Subject::Of(MemberId(1)));
  ASSERT_TRUE(replica.Await({"EXISTS", key}, "1"));
  // Promoted while the old primary is still there and used: it hears nothing of this.
  replica.Run({"REPLICAOF", "NO", "ONE"});
  ASSERT_EQ(centers.Touch(1, 2).kind, InvalidationKind::kDone);
  primary.Kill();
  for (int view = 0; view < 2; ++view) {
    EXPECT_TRUE(centers.RunUntil([&] { return centers.Touch(1, 3, view).kind == InvalidationKind::kLost; }));
    ASSERT_EQ(replica.Run({"EXISTS", key}), "1") << "it has what was dropped";
    EXPECT_EQ(centers.Get(1, view).kind, LookupKind::kUnusable);
  }
  centers.BeginAndUse(Epoch(2));
  EXPECT_EQ(centers.Get(1).kind, LookupKind::kMiss);
  EXPECT_TRUE(centers.Fill(2, 3));
}

TEST(RedisFaults, APrimaryThatWasDemotedAndPromotedAgainIsAnother) {
  RedisServer one, other;
  RedisCenters centers(RedisCenters::Options({one.endpoint()}), 1);
  centers.BeginAndUse(Epoch(1));
  ASSERT_TRUE(centers.Fill(1, 1));
  // The other gets a copy from before the write, and gives it back: the same process, with older data.
  other.Run({"REPLICAOF", "127.0.0.1", std::to_string(one.port())});
  ASSERT_TRUE(other.Await({"INFO", "replication"}, "master_link_status:up"));
  ASSERT_TRUE(other.Await({"DBSIZE"}, one.Run({"DBSIZE"})));
  other.Run({"REPLICAOF", "NO", "ONE"});
  // The first replica gave the primary's history another name: as good as a fail-over, and safe.
  EXPECT_TRUE(centers.RunUntil([&] { return centers.Touch(1, 2).kind == InvalidationKind::kLost; }));
  centers.BeginAndUse(Epoch(2));
  ASSERT_EQ(centers.Touch(1, 2).kind, InvalidationKind::kDone);
  one.Run({"REPLICAOF", "127.0.0.1", std::to_string(other.port())});
  ASSERT_TRUE(one.Await({"INFO", "replication"}, "master_link_status:up"));
  one.Run({"REPLICAOF", "NO", "ONE"});
  ASSERT_TRUE(centers.RunUntil([&] { return centers.Touch(1, 3).kind == InvalidationKind::kLost; }));
  EXPECT_EQ(centers.Get(1).kind, LookupKind::kUnusable);
}

TEST(RedisFaults, TwoPrimariesBeginNoEpoch) {
  RedisServer one, other;
  RedisCenters centers(RedisCenters::Options({one.endpoint(), other.endpoint()}), 1);
  ASSERT_TRUE(centers.RunUntil([&] {
    std::optional<Result<bool>> begun;
    centers.view(0).BeginEpoch(Epoch(1), Deadline::After(centers.clock, milliseconds(1000)),
                               [&](Result<bool> result) { begun = std::move(result); });
    EXPECT_TRUE(centers.RunUntil([&] { return begun.has_value(); }));
    return !*begun && begun->error().message.contains("two servers");
  }));
}

TEST(RedisFaults, WhatStandsStillAnswersNobody) {
  RedisServer server;
  auto options = RedisCenters::Options({server.endpoint()});
  options.request_timeout_ms = 20;
  RedisCenters centers(options);
  centers.BeginAndUse(Epoch(1));
  ASSERT_TRUE(centers.RunUntil([&] { return centers.Fill(1, 1) || centers.Get(1).kind == LookupKind::kHit; }));
  server.Freeze();
  const Instant begun = centers.clock.Monotonic();
  EXPECT_EQ(centers.Get(1).kind, LookupKind::kUnusable);
  EXPECT_LT(centers.clock.Monotonic() - begun, milliseconds(500)) << "a reader waits for its own time-out only";
  EXPECT_EQ(centers.Touch(1, 2, 0, milliseconds(50)).kind, InvalidationKind::kUnreachable);
  ASSERT_TRUE(AwaitUnreachable(centers));
  EXPECT_EQ(centers.Get(1).kind, LookupKind::kUnusable);
  server.Thaw();
  ASSERT_TRUE(centers.AwaitReachable());
  // The same process with the same data: it goes on, and what was tried may have been done by now.
  ASSERT_TRUE(centers.AwaitReadable());
  ASSERT_TRUE(centers.RunUntil([&] { return centers.Touch(1, 2).kind == InvalidationKind::kDone; }));
  EXPECT_EQ(centers.Get(1).kind, LookupKind::kMiss);
}

TEST(RedisFaults, AScriptOrCommandThatHoldsUpTheServerIsAsATimeOut) {
  RedisServer server;
  auto options = RedisCenters::Options({server.endpoint()});
  options.request_timeout_ms = 20;
  RedisCenters centers(options, 1);
  centers.BeginAndUse(Epoch(1));
  std::thread sleeper([&] { server.Run({"DEBUG", "SLEEP", "0.3"}); });
  EXPECT_TRUE(centers.RunUntil(
      [&] { return centers.Counter("timed_out") > 0 || centers.Get(1).kind == LookupKind::kUnusable; }));
  sleeper.join();
  EXPECT_TRUE(centers.AwaitReadable());
}

TEST(RedisFaults, WithoutRoomNothingIsFilledAndFloorsAreKept) {
  for (const char* const policy : {"noeviction", "volatile-lru"}) {
    RedisServer server({"--maxmemory-policy", policy});
    RedisCenters centers(RedisCenters::Options({server.endpoint()}), 1);
    centers.BeginAndUse(Epoch(1));
    ASSERT_TRUE(centers.Fill(1, 1));
    for (std::int64_t id = 100; id < 400; ++id) ASSERT_EQ(centers.Touch(id, 7).kind, InvalidationKind::kDone);
    // What is there alone is more than that: nothing that may go is left, and nothing more fits.
    server.Run({"CONFIG", "SET", "maxmemory", "1"});
    if (std::string_view(policy) == "noeviction") {
      EXPECT_EQ(centers.Get(1).kind, LookupKind::kHit);
    } else {
      EXPECT_EQ(centers.Get(1).kind, LookupKind::kMiss) << "it was evicted";
    }
    EXPECT_FALSE(centers.Fill(2, 1));
    EXPECT_EQ(centers.Touch(1, 2).kind, InvalidationKind::kDone);
    EXPECT_EQ(centers.Get(1).floor, Version(2));
    for (std::int64_t id = 100; id < 400; ++id) ASSERT_EQ(centers.Get(id).floor, Version(7)) << policy;
    server.Run({"CONFIG", "SET", "maxmemory", "0"});
    EXPECT_TRUE(centers.Fill(3, 1));
  }
}

TEST(RedisFaults, EvictionTakesValuesAndNoFloor) {
  RedisServer server({"--maxmemory-policy", "volatile-lru"});
  RedisCenters centers(RedisCenters::Options({server.endpoint()}), 1);
  centers.BeginAndUse(Epoch(1));
  for (std::int64_t id = 1; id <= 200; ++id) ASSERT_EQ(centers.Touch(id, 7).kind, InvalidationKind::kDone);
  const std::string used = server.Run({"INFO", "memory"});
  const std::size_t at = used.find("used_memory:") + std::string_view("used_memory:").size();
  const long long room = std::stoll(used.substr(at)) + 300'000;
  server.Run({"CONFIG", "SET", "maxmemory", std::to_string(room)});
  for (std::int64_t id = 10'000; id < 12'000; ++id) ASSERT_TRUE(centers.Fill(id, 1)) << id;
  EXPECT_EQ(server.Run({"INFO", "stats"}).find("evicted_keys:0\r"), std::string::npos) << "nothing was evicted";
  for (std::int64_t id = 1; id <= 200; ++id) ASSERT_EQ(centers.Get(id).floor, Version(7));
}

TEST(RedisFaults, AWrongPasswordIsAsIfThereWereNone) {
  RedisServer server({"--requirepass", "right"});
  const std::string file = server.directory() + "/password";
  {
    std::ofstream(file) << "wrong\n";
    std::filesystem::permissions(file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  }
  auto options = RedisCenters::Options({server.endpoint()});
  options.password_file = file;
  RedisCenters centers(options, 1);
  centers.state = {.epoch = Epoch(1), .mode = CacheMode::kOn};
  EXPECT_EQ(centers.Get(1).kind, LookupKind::kUnusable);
  EXPECT_EQ(centers.Touch(1, 1).kind, InvalidationKind::kUnreachable);
  EXPECT_FALSE(centers.view(0).IsReachable());
  std::ofstream(file) << "right\n";
  RedisCenters right(options, 1);
  right.BeginAndUse(Epoch(1));
}

TEST(RedisFaults, AnAddressWhereNobodyListensHoldsNobodyUp) {
  RedisServer gone;
  gone.Kill();
  RedisCenters centers(RedisCenters::Options({gone.endpoint()}), 1);
  centers.state = {.epoch = Epoch(1), .mode = CacheMode::kOn};
  const Instant begun = centers.clock.Monotonic();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(centers.Get(i + 1).kind, LookupKind::kUnusable);
  EXPECT_LT(centers.clock.Monotonic() - begun, milliseconds(1000));
}

}  // namespace
}  // namespace muster
