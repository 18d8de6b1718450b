#include "cache/redis/tracked_near_cache.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "cache/redis/keys.h"
#include "cache/redis/testing/redis_fixture.h"

namespace muster {
namespace {

using std::chrono::milliseconds;
using testing::CenterDocument;
using testing::RedisCenters;
using testing::RedisServer;
using testing::SharedRedis;

class TrackedNearCacheTest : public ::testing::Test {
 protected:
  void Use(RedisServer& server, std::size_t bytes_max = 1 << 20) {
    centers_.emplace(RedisCenters::Options({server.endpoint()}));
    centers_->BeginAndUse(Epoch(1));
    near_ = MakeTrackedNearCache(centers_->options,
                                 {.loop = &centers_->loop,
                                  .clock = &centers_->clock,
                                  .random = &centers_->random,
                                  .keyring = &centers_->keyring,
                                  .logger = &NullLogger(),
                                  .state = [this] { return centers_->state; },
                                  .center = "a"},
                                 bytes_max)
                .value();
    ASSERT_TRUE(Await([&] { return near_->IsOn(); }));
  }
  bool Await(const std::function<bool()>& done) { return centers_->RunUntil(done); }
  bool Has(std::int64_t id) { return near_->Find(MemberId(id)).has_value(); }
  // As the route does.
  void Keep(std::int64_t id) {
    const auto ticket = near_->Begin(MemberId(id));
    const MemberLookup found = centers_->Get(id);
    ASSERT_EQ(found.kind, LookupKind::kHit);
    near_->Fill(MemberId(id), found.member, ticket);
  }
  void FillAndKeep(std::int64_t id, std::int64_t version) {
    ASSERT_TRUE(centers_->Fill(id, version));
    // What tells of the fill itself has to be past.
    ASSERT_TRUE(Await([&] {
      Keep(id);
      return Has(id);
    }));
  }
  std::uint64_t Counter(const std::string& name) {
    for (const auto& [known, count] : near_->Counters()) {
      if (known == name) return count;
    }
    ADD_FAILURE() << name;
    return 0;
  }

  std::optional<RedisCenters> centers_;
  std::unique_ptr<TrackedNearCache> near_;
};

TEST_F(TrackedNearCacheTest, AnEntryIsThereUntilSomebodyChangesIt) {
  Use(SharedRedis());
  FillAndKeep(1, 3);
  FillAndKeep(2, 3);
  const auto found = near_->Find(MemberId(1));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->member->version(), Version(3));
  EXPECT_GE(found->age, Duration(0));
  EXPECT_EQ(centers_->Touch(1, 4, 1).kind, InvalidationKind::kDone);
  EXPECT_TRUE(Await([&] { return !Has(1); }));
}

TEST_F(TrackedNearCacheTest, AnEntryIsNotAnsweredLongerThanItsAge) {
  Use(SharedRedis());
  FillAndKeep(1, 3);
  const Instant kept = centers_->clock.Monotonic();
  EXPECT_TRUE(Await([&] { return !Has(1); }));
  EXPECT_LE(centers_->clock.Monotonic() - kept, TrackedCache::kAgeMax + milliseconds(500));
  EXPECT_TRUE(near_->IsOn());
}

TEST_F(TrackedNearCacheTest, WhatChangedWhileItWasReadIsNotKept) {
  Use(SharedRedis());
  ASSERT_TRUE(centers_->Fill(1, 3));
  const auto ticket = near_->Begin(MemberId(1));
  const MemberLookup read = centers_->Get(1);
  const std::uint64_t told = Counter("told");
  centers_->Touch(1, 4, 1);
  ASSERT_TRUE(Await([&] { return Counter("told") > told; }));
  near_->Fill(MemberId(1), read.member, ticket);
  EXPECT_FALSE(Has(1));
  EXPECT_GE(Counter("fills_refused"), 1U);
}

TEST_F(TrackedNearCacheTest, WhatRedisForgetsIsForgotten) {
  Use(SharedRedis());
  FillAndKeep(1, 3);
  const redis::Keys keys(centers_->options.prefix);
  SharedRedis().Run({"DEL", keys.Value(Epoch(1), redis::Subject::Of(MemberId(1)))});
  EXPECT_TRUE(Await([&] { return !Has(1); }));
  EXPECT_LE(Counter("emptied"), 1U) << "only this one";
  FillAndKeep(2, 3);
  SharedRedis().Run({"FLUSHALL"});
  EXPECT_TRUE(Await([&] { return Counter("emptied") >= 2 && !Has(2); }));
}

TEST_F(TrackedNearCacheTest, AConnectionThatIsLostTurnsItOffAndItBeginsEmpty) {
  RedisServer server;
  Use(server);
  FillAndKeep(1, 3);
  server.Run({"CLIENT", "KILL", "TYPE", "pubsub"});
  EXPECT_TRUE(Await([&] { return !near_->IsOn(); }));
  EXPECT_FALSE(Has(1));
  EXPECT_TRUE(Await([&] { return near_->IsOn(); }));
  EXPECT_FALSE(Has(1));
  EXPECT_TRUE(Await([&] {
    Keep(1);
    return Has(1);
  }));
}

TEST_F(TrackedNearCacheTest, AServerThatIsSilentTurnsItOff) {
  RedisServer server;
  Use(server);
  FillAndKeep(1, 3);
  server.Freeze();
  const Instant begun = centers_->clock.Monotonic();
  EXPECT_TRUE(Await([&] { return !near_->IsOn(); }));
  EXPECT_LE(centers_->clock.Monotonic() - begun, TrackedNearCache::kUnsureAfter + milliseconds(300));
  EXPECT_FALSE(Has(1));
  server.Thaw();
  EXPECT_TRUE(Await([&] { return near_->IsOn(); }));
}

TEST_F(TrackedNearCacheTest, AnotherEpochOrABypassLeavesNothingToFind) {
  Use(SharedRedis());
  FillAndKeep(1, 3);
  centers_->state = {.epoch = Epoch(2), .mode = CacheMode::kBypass};
  EXPECT_FALSE(Has(1));
  const auto ticket = near_->Begin(MemberId(1));
  centers_->state = {.epoch = Epoch(3), .mode = CacheMode::kOn};
  EXPECT_FALSE(Has(1)) << "of an older epoch";
  near_->Fill(MemberId(1), CenterDocument(1, 3), ticket);
  EXPECT_FALSE(Has(1));
}

TEST_F(TrackedNearCacheTest, ItsBytesAreBounded) {
  Use(SharedRedis(), 20'000);
  for (std::int64_t id = 1; id <= 200; ++id) {
    near_->Fill(MemberId(id), CenterDocument(id, 1), near_->Begin(MemberId(id)));
    EXPECT_LE(Counter("bytes"), 20'000U);
  }
  EXPECT_TRUE(Has(200));
  EXPECT_FALSE(Has(1));
  EXPECT_LT(Counter("entries"), 100U);
}

}  // namespace
}  // namespace muster
