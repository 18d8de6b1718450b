#include "cache/redis/center.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/encoding.h"
#include "cache/redis/keys.h"
#include "cache/redis/testing/redis_fixture.h"
#include "domain/ports/center_cache_contract.h"

namespace muster {
namespace {

using testing::CenterDocument;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::RedisCenters;
using testing::RedisServer;
using testing::SharedRedis;

class SingleRedisFactory {
 public:
  SingleRedisFactory() { centers_.BeginAndUse(Epoch(1)); }
  CenterCache& cache(int view) { return centers_.view(view); }
  void SetState(CacheState state) { centers_.state = state; }
  std::optional<bool> BeginEpoch(Epoch epoch) {
    const Result<bool> begun = centers_.Begin(epoch);
    return begun ? std::optional(*begun) : std::nullopt;
  }
  void RunUntil(const std::function<bool()>& done) { EXPECT_TRUE(centers_.RunUntil(done)); }
  void LoseEverything() { SharedRedis().Run({"FLUSHALL"}); }
  void OutlastLease() {
    const Instant until = now() + std::chrono::milliseconds(centers_.options.lease_ms + 20);
    EXPECT_TRUE(centers_.RunUntil([&] { return now() > until; }));
  }
  Instant now() { return centers_.clock.Monotonic(); }

 private:
  RedisCenters centers_{RedisCenters::Options({SharedRedis().endpoint()})};
};

INSTANTIATE_TYPED_TEST_SUITE_P(SingleRedis, CenterCacheContract, SingleRedisFactory);

class RedisCenterTest : public ::testing::Test {
 protected:
  void SetUp() override { centers_.BeginAndUse(Epoch(1)); }
  std::string ValueKey(std::int64_t id) { return keys_.Value(Epoch(1), redis::Subject::Of(MemberId(id))); }
  std::string FloorKey(std::int64_t id, int which) { return keys_.Floor(ShardOf(MemberId(id)), which); }

  RedisServer& server_ = SharedRedis();
  RedisCenters centers_{RedisCenters::Options({server_.endpoint()})};
  const redis::Keys keys_{centers_.options.prefix};
};

TEST_F(RedisCenterTest, GetsOfATurnShareACommandAndAWrite) {
  for (std::int64_t id = 1; id <= 200; ++id) ASSERT_TRUE(centers_.Fill(id, id));
  const std::uint64_t commands = centers_.Counter("commands"), writes = centers_.Counter("writes");
  int answered = 0;
  for (std::int64_t id = 1; id <= 200; ++id) {
    centers_.view(0).Get(MemberId(id), Deadline(), [&answered, id](const MemberLookup& found) {
      ++answered;
      EXPECT_EQ(found.member->id(), MemberId(id));
      EXPECT_EQ(found.member->version(), Version(id));
    });
  }
  ASSERT_TRUE(centers_.RunUntil([&] { return answered == 200; }));
  EXPECT_EQ(centers_.Counter("commands") - commands, 1U);
  EXPECT_LE(centers_.Counter("writes") - writes, 2U);
}

TEST_F(RedisCenterTest, NothingOfAMemberIsReadableInRedis) {
  ASSERT_TRUE(centers_.Fill(1, 1));
  const std::string value = server_.Run({"GET", ValueKey(1)});
  EXPECT_GT(value.size(), 100U);
  EXPECT_THAT(value, Not(HasSubstr("member 1")));
  EXPECT_THAT(value, Not(HasSubstr("displayName")));
}

TEST_F(RedisCenterTest, AnEntryThatDoesNotOpenIsNotUsed) {
  ASSERT_TRUE(centers_.Fill(1, 1));
  ASSERT_TRUE(centers_.Fill(2, 1));
  server_.Run({"SET", ValueKey(2), server_.Run({"GET", ValueKey(1)})});
  EXPECT_EQ(centers_.Get(2).kind, LookupKind::kUnusable) << "another member's";
  server_.Run({"SET", ValueKey(2), "0000000000000000001"});
  EXPECT_EQ(centers_.Get(2).kind, LookupKind::kHit) << "there is no such member";
  for (const char* const bad : {"", "1", "000000000000000000x", "0000000000000000001x"}) {
    server_.Run({"SET", ValueKey(2), bad});
    EXPECT_EQ(centers_.Get(2).kind, LookupKind::kUnusable) << bad;
  }
  EXPECT_EQ(centers_.Counter("damaged"), 5U);
}

TEST_F(RedisCenterTest, ScriptsThatWereForgottenAreLoadedAgain) {
  ASSERT_TRUE(centers_.Fill(1, 1));
  server_.Run({"SCRIPT", "FLUSH"});
  EXPECT_EQ(centers_.Touch(1, 2).kind, InvalidationKind::kDone);
  EXPECT_EQ(centers_.Get(1).floor, Version(2));
}

TEST_F(RedisCenterTest, ValuesAndLeasesEndByThemselvesAndFloorsAndMarkersDoNot) {
  ASSERT_TRUE(centers_.Fill(1, 1));
  EXPECT_NE(server_.Run({"PTTL", ValueKey(1)}), "-1");
  centers_.Touch(1, 2);
  ASSERT_NE(centers_.Get(1).token, FillToken(0));
  EXPECT_NE(server_.Run({"PTTL", keys_.Lease(Epoch(1), redis::Subject::Of(MemberId(1)))}), "-1");
  EXPECT_EQ(server_.Run({"PTTL", keys_.Marker(ShardOf(MemberId(1)))}), "-1");
  const bool first = server_.Run({"EXISTS", FloorKey(1, 0)}) == "1";
  EXPECT_EQ(server_.Run({"PTTL", FloorKey(1, first ? 0 : 1)}), "-1");
}

TEST_F(RedisCenterTest, FloorsLiveOnePeriodAtLeastAndTwoAtMostInABusyShard) {
  const auto period = [&](int which) { return server_.Run({"HGET", FloorKey(1, which), "p"}); };
  centers_.Touch(1, 5);
  const int which = period(0) == "(nil)" ? 1 : 0;
  const std::int64_t now = std::stoll(period(which));
  // As if it had been written in the period before: it stays beside those of this one.
  server_.Run({"RENAME", FloorKey(1, which), FloorKey(1, 1 - which)});
  server_.Run({"HSET", FloorKey(1, 1 - which), "p", std::to_string(now - 1)});
  centers_.Touch(1, 3);
  EXPECT_EQ(centers_.Get(1).floor, Version(5));
  // As if two periods before: it goes.
  server_.Run({"DEL", FloorKey(1, which)});
  server_.Run({"HSET", FloorKey(1, 1 - which), "p", std::to_string(now - 3)});
  centers_.Touch(1, 3);
  EXPECT_EQ(centers_.Get(1).floor, Version(3));
}

TEST_F(RedisCenterTest, FloorsStayWhenTheClockGoesBack) {
  centers_.Touch(1, 5);
  const int which = server_.Run({"EXISTS", FloorKey(1, 0)}) == "1" ? 0 : 1;
  const std::int64_t now = std::stoll(server_.Run({"HGET", FloorKey(1, which), "p"}));
  // The clock was a thousand periods ahead when it was written; parity decides which hash that is.
  server_.Run({"HSET", FloorKey(1, which), "p", std::to_string(now + 1000)});
  for (int i = 0; i < 3; ++i) centers_.Touch(1, 3);
  EXPECT_EQ(centers_.Get(1).floor, Version(5));
}

TEST_F(RedisCenterTest, WhoFindsALeaseWaitsALittleForTheFill) {
  auto options = RedisCenters::Options({server_.endpoint()});
  options.fill_wait_ms = 500;
  RedisCenters patient(options);
  patient.BeginAndUse(Epoch(1));
  const MemberLookup first = patient.Get(1);
  ASSERT_NE(first.token, FillToken(0));
  std::optional<MemberLookup> second;
  patient.view(1).Get(MemberId(1), Deadline(), [&](MemberLookup found) { second = std::move(found); });
  ASSERT_TRUE(patient.RunUntil([&] { return patient.Counter("waited", 1) == 1; }));
  EXPECT_FALSE(second);
  patient.view(0).Fill(MemberId(1), CenterDocument(1, 1), first.token);
  ASSERT_TRUE(patient.RunUntil([&] { return second.has_value(); }));
  EXPECT_EQ(second->kind, LookupKind::kHit);
}

TEST_F(RedisCenterTest, WhoOnlyPeeksTakesNoLease) {
  const auto peek = [&] {
    std::optional<MemberLookup> found;
    centers_.view(0).Peek(MemberId(1), Deadline(), [&](MemberLookup answer) { found = std::move(answer); });
    EXPECT_TRUE(centers_.RunUntil([&] { return found.has_value(); }));
    return *found;
  };
  EXPECT_EQ(peek().kind, LookupKind::kMiss);
  EXPECT_EQ(peek().token, FillToken(0));
  const MemberLookup missed = centers_.Get(1);
  EXPECT_EQ(missed.kind, LookupKind::kMiss);
  EXPECT_NE(missed.token, FillToken(0)) << "it was still to be had";
  ASSERT_TRUE(centers_.Fill(2, 5));
  std::optional<MemberLookup> found;
  centers_.view(0).Peek(MemberId(2), Deadline(), [&](MemberLookup answer) { found = std::move(answer); });
  ASSERT_TRUE(centers_.RunUntil([&] { return found.has_value(); }));
  ASSERT_EQ(found->kind, LookupKind::kHit);
  EXPECT_EQ(found->member->version(), Version(5));
}

TEST_F(RedisCenterTest, AnEpochBeginsOnceOnAllShards) {
  EXPECT_EQ(centers_.Begin(Epoch(1)), false);
  for (const int shard : {0, 1, 511, 1023}) {
    EXPECT_THAT(server_.Run({"GET", keys_.Marker(ShardId(static_cast<std::uint16_t>(shard)))}),
                HasSubstr("0000000000000000001 "));
  }
  EXPECT_EQ(centers_.Begin(Epoch(3)), true);
  const Result<bool> older = centers_.Begin(Epoch(2));
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().reason, Reason::kStateConflict);
}

TEST_F(RedisCenterTest, ItsEndAnswersWhatIsOutstanding) {
  int answered = 0;
  centers_.view(0).Get(MemberId(1), Deadline(), [&](const MemberLookup& found) {
    ++answered;
    EXPECT_EQ(found.kind, LookupKind::kUnusable);
  });
  RedisCenters other(centers_.options, 1);
  other.state = centers_.state;
  ASSERT_TRUE(other.AwaitReachable());
  other.view(0).Invalidate({.members = {{MemberId(1), Version(1)}}}, Deadline(), [&](const Invalidation& told) {
    ++answered;
    EXPECT_EQ(told.kind, InvalidationKind::kUnreachable);
  });
  centers_.EndView(0);
  other.EndView(0);
  EXPECT_EQ(answered, 2);
}

}  // namespace
}  // namespace muster
