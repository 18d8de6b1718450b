#include "store/sweeper.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include "store/binding_fixture.h"

namespace muster {
namespace {

using Fault = FaultyShardStore::Fault;

class SweepTest : public ::testing::TestWithParam<Shape>, public BindingWorld {
 protected:
  SweepTest() : BindingWorld(GetParam()) {}

  // A lookup row that a crashed process left, old enough to be swept.
  IdentityKey LeaveBehind(MemberId id, std::uint32_t index) {
    const IdentityKey key = IdentityAt(index % memory.database_count(), 50 + index).key;
    PutLookup(key, LookupRow{id, ids.NextOperationId()});
    return key;
  }
  void GrowOld() { clock.Advance(kOperationAgeMax + std::chrono::milliseconds(2)); }
};

INSTANTIATE_TEST_SUITE_P(Databases, SweepTest,
                         ::testing::Values(Shape{1, MemoryShardStore::Runs::kOnce},
                                           Shape{1, MemoryShardStore::Runs::kTwice},
                                           Shape{4, MemoryShardStore::Runs::kOnce},
                                           Shape{4, MemoryShardStore::Runs::kTwice}),
                         [](const auto& shape) {
                           return std::to_string(shape.param.databases) +
                                  (shape.param.runs == MemoryShardStore::Runs::kTwice ? "Twice" : "Once");
                         });

TEST_P(SweepTest, FreesWhatItsOwnerDoesNotListAndNothingElse) {
  const std::uint32_t last = memory.database_count() - 1;
  const Member member = Make(0, 0, {IdentityAt(0, 1), IdentityAt(last, 2)});
  std::vector<LookupRow> left;
  for (std::uint32_t index = 0; index < 9; ++index) {
    const IdentityKey key = LeaveBehind(index % 2 == 0 ? member.id : IdAt(last, 40 + index), index);
    left.push_back(*FindLookup(key));
  }
  EXPECT_EQ(SweepAll(), 0U) << "they are young: their operations may be under way";
  GrowOld();
  EXPECT_EQ(SweepAll(), 9U);
  for (const LookupRow& row : left) EXPECT_EQ(FindOutcome(row.member_id, row.operation_id), OperationOutcome::kAborted);
  Check(true);
  EXPECT_EQ(SweepAll(), 0U);
}

// The clock was an hour ahead when the process died, and has been set right since.
TEST_P(SweepTest, FreesWhatWasReservedUnderAClockThatRanAhead) {
  ManualClock ahead(clock.Now() + std::chrono::hours(1));
  IdAllocator theirs(ahead, 3, 0);
  const LookupRow left{Make(0, 0).id, theirs.NextOperationId()};
  PutLookup(IdentityAt(memory.database_count() - 1, 1).key, left);
  EXPECT_EQ(SweepAll(), 1U);
  EXPECT_EQ(FindOutcome(left.member_id, left.operation_id), OperationOutcome::kAborted);
  Check(true);
}

TEST_P(SweepTest, CountsWhatItLooksAtAndStopsAtTheEnd) {
  Make(0, 0, {IdentityAt(0, 1), IdentityAt(0, 2), IdentityAt(0, 3)});
  const Result<SweepProgress> first = Finish(SweepLookups(shards, shards, 0, {}, 2));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->examined, 2U);
  EXPECT_NE(first->next, IdentityKey{});
  const Result<SweepProgress> second = Finish(SweepLookups(shards, shards, 0, first->next, 2));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->examined, 1U);
  EXPECT_EQ(second->next, IdentityKey{});
}

TEST_P(SweepTest, AFailedStepSaysSoAndALaterOneFindsWhatItLeft) {
  const Member member = Make(0, 0);
  LeaveBehind(member.id, memory.database_count() - 1);
  GrowOld();
  const std::uint32_t database = memory.database_count() - 1;
  const std::size_t steps = memory.database_count() == 1 ? 1 : 2;  // settle, free
  for (std::size_t step = 0; step < steps; ++step) {
    shards.FailAt(step, Fault::kOverloaded);
    EXPECT_EQ(ReasonOf(Finish(SweepLookups(shards, shards, database, {}, 10))), Reason::kOverloaded);
  }
  shards.scan_fails = true;
  EXPECT_EQ(ReasonOf(Finish(SweepLookups(shards, shards, database, {}, 10))), Reason::kInternal);
  shards.scan_fails = false;
  EXPECT_EQ(SweepAll(), 1U);
  Check(true);
}

TEST_P(SweepTest, WhatIsTakenBetweenSettlingAndFreeingIsNotFreed) {
  if (memory.database_count() == 1) return;  // both are one transaction there
  const Member member = Make(0, 0);
  const Member rival = Make(1, 0);
  const Identity identity = IdentityAt(3, 0);
  PutLookup(identity.key, LookupRow{member.id, ids.NextOperationId()});
  GrowOld();
  const auto other =
      MakeBindingWriter({.shards = &memory, .catalog = &catalog, .ids = &ids, .clock = &clock, .timer = &timer});
  shards.ActBefore(1, [&] { ASSERT_TRUE(Finish(other->Bind(rival.id, identity, Context()))); });
  EXPECT_EQ(SweepAll(), 0U);
  Check(true);
}

TEST_P(SweepTest, OutcomesAreForgottenAfterTheRetention) {
  if (memory.database_count() == 1) return;  // there are none
  const Member member = Make(0, 0);
  ASSERT_TRUE(Finish(writer->Bind(member.id, IdentityAt(1, 0), Context())));
  ASSERT_EQ(memory.CountOperations(0), 1U);
  clock.Advance(kOperationRetention);
  EXPECT_EQ(Finish(ForgetOutcomes(shards, clock.Now(), 0)), 0U);
  clock.Advance(Duration(1));
  EXPECT_EQ(Finish(ForgetOutcomes(shards, clock.Now(), 0)), 1U);
  EXPECT_EQ(memory.CountOperations(0), 0U);
  Check(true);
}

// ---- in the background

std::uint64_t ValueOf(const MetricRegistry& metrics, const std::string& name) {
  const std::string text = "\n" + metrics.Expose();
  const std::size_t at = text.find("\n" + name + " ");
  if (at == std::string::npos) return 0;
  return static_cast<std::uint64_t>(std::stod(text.substr(at + name.size() + 2)));
}

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST_P(SweepTest, TheSweeperWalksForEverAndCounts) {
  MetricRegistry metrics;
  const Member member = Make(0, 0, {IdentityAt(0, 1)});
  const IdentityKey first = LeaveBehind(member.id, 0);
  GrowOld();
  Sweeper sweeper(memory, memory, {.period_ms = 1, .pause_ms = 1, .batch = 1}, NullLogger(), metrics);
  sweeper.Start();
  EXPECT_TRUE(Eventually([&] { return !FindLookup(first); }));
  const IdentityKey second = LeaveBehind(member.id, 1);
  GrowOld();
  EXPECT_TRUE(Eventually([&] { return !FindLookup(second); }));
  sweeper.Stop();
  Check(true);
  EXPECT_EQ(ValueOf(metrics, "muster_store_sweeper_freed_total"), 2U);
  EXPECT_GE(ValueOf(metrics, "muster_store_sweeper_examined_total"), 3U);
}

TEST(SweeperTest, SettlesMovesAndCounts) {
  BindingWorld world({2, MemoryShardStore::Runs::kOnce});
  MetricRegistry metrics;
  const Member taker = world.Make(1, 0);
  Member giver = world.Make(0, 0);
  const Member before = giver;
  const OperationId long_ago(IdAllocator::LowestAt(world.clock.Now() - std::chrono::hours(1)));
  giver.move = MoveMark{.operation_id = long_ago, .other = taker.id};
  ASSERT_TRUE(contract::RunAndWait(world.memory, 0, [&](ShardTransaction& rows) { return rows.MarkMember(giver); }));
  Sweeper sweeper(world.memory, world.memory, {.period_ms = 1, .pause_ms = 1, .batch = 1}, NullLogger(), metrics);
  sweeper.Start();
  EXPECT_TRUE(Eventually([&] { return ValueOf(metrics, "muster_store_sweeper_moves_settled_total") == 1; }));
  sweeper.Stop();
  EXPECT_EQ(world.Find(giver.id), before);
}

TEST(SweeperTest, ForgetsInTheMiddleOfALongWalk) {
  constexpr std::uint32_t kRows = 3'000;
  BindingWorld world({2, MemoryShardStore::Runs::kOnce});
  const Member member = world.Make(0, 0);
  for (std::uint32_t index = 0; index < kRows; ++index) {
    world.PutLookup(world.IdentityAt(index % 2, 100 + index).key, LookupRow{member.id, world.ids.NextOperationId()});
  }
  MetricRegistry metrics;
  Sweeper sweeper(world.memory, world.memory, {.period_ms = 1, .pause_ms = 1, .batch = 1}, NullLogger(), metrics);
  sweeper.Start();
  EXPECT_TRUE(Eventually([&] { return ValueOf(metrics, "muster_store_sweeper_examined_total") > 0; }));
  ASSERT_TRUE(world.Finish(world.writer->Bind(member.id, world.IdentityAt(1, 0), world.Context())));
  world.clock.Advance(kOperationRetention + Duration(1));
  EXPECT_TRUE(Eventually([&] { return ValueOf(metrics, "muster_store_sweeper_outcomes_forgotten_total") == 1; }));
  sweeper.Stop();
  EXPECT_LT(ValueOf(metrics, "muster_store_sweeper_examined_total"), kRows);
}

// A store in which there is always something to forget, as under writes.
class NeverEmptyStore final : public FaultyShardStore {
 public:
  using FaultyShardStore::FaultyShardStore;
  void ForgetOperations(std::uint32_t database, Timestamp, Forgotten done) override {
    ++asked[database];
    done(10'000);
  }
  std::array<std::atomic<int>, 2> asked{};
};

TEST(SweeperTest, WhatNeverEndsKeepsNothingWaiting) {
  BindingWorld world({2, MemoryShardStore::Runs::kOnce});
  for (std::uint32_t index = 0; index < 8; ++index) {
    world.PutLookup(world.IdentityAt(index % 2, 100 + index).key,
                    LookupRow{world.IdAt(0, 40), world.ids.NextOperationId()});
  }
  NeverEmptyStore store(world.memory);
  MetricRegistry metrics;
  Sweeper sweeper(store, store, {.period_ms = 3'600'000, .pause_ms = 1, .batch = 1}, NullLogger(), metrics);
  sweeper.Start();
  EXPECT_TRUE(Eventually([&] {
    return store.asked[0] > 10 && store.asked[1] > 10 && ValueOf(metrics, "muster_store_sweeper_examined_total") == 8;
  }));
  sweeper.Stop();
}

TEST(SweeperTest, StopsAtOnceWhileItRests) {
  BindingWorld world({2, MemoryShardStore::Runs::kOnce});
  MetricRegistry metrics;
  const auto before = std::chrono::steady_clock::now();
  {
    Sweeper sweeper(world.memory, world.memory, {.period_ms = 3'600'000, .pause_ms = 60'000, .batch = 1}, NullLogger(),
                    metrics);
    sweeper.Start();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(20));
}

TEST(SweeperTest, NeedsNoStart) {
  BindingWorld world({2, MemoryShardStore::Runs::kOnce});
  MetricRegistry metrics;
  Sweeper sweeper(world.memory, world.memory, {}, NullLogger(), metrics);
  sweeper.Stop();
}

TEST(SweeperTest, GoesOnAfterAFailure) {
  BindingWorld world({1, MemoryShardStore::Runs::kOnce});
  const Member member = world.Make(0, 0);
  for (std::uint32_t index = 1; index < 3; ++index) {
    world.PutLookup(world.IdentityAt(0, index).key, LookupRow{member.id, world.ids.NextOperationId()});
  }
  MetricRegistry metrics;
  world.shards.scan_fails_later = true;
  Sweeper sweeper(world.shards, world.shards, {.period_ms = 1, .pause_ms = 1, .batch = 1}, NullLogger(), metrics);
  sweeper.Start();
  EXPECT_TRUE(Eventually([&] { return ValueOf(metrics, "muster_store_sweeper_failures_total") >= 3; }));
  // Not where it failed, where it would fail for ever: what comes before is looked at again.
  EXPECT_TRUE(Eventually([&] { return ValueOf(metrics, "muster_store_sweeper_examined_total") >= 3; }));
  sweeper.Stop();
}

TEST(SweeperTest, DeclaresItsOptionsWithBounds) {
  SweeperOptions options;
  OptionRegistry registry;
  options.Declare(registry);
  EXPECT_TRUE(registry.Set("store.sweeper.batch", "17", "test"));
  EXPECT_EQ(options.batch, 17);
  EXPECT_FALSE(registry.Set("store.sweeper.batch", "0", "test"));
  EXPECT_TRUE(registry.Set("store.sweeper.period", "10m", "test"));
  EXPECT_EQ(options.period_ms, 600'000);
  EXPECT_FALSE(registry.Set("store.sweeper.period", "1ms", "test"));
}

}  // namespace
}  // namespace muster
