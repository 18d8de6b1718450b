#include "domain/id_allocator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <thread>
#include <vector>

namespace muster {
namespace {

using std::chrono::milliseconds;

const Timestamp kStart = Timestamp(milliseconds(1'750'000'000'123));

TEST(IdAllocatorTest, IsMillisecondsNodeAndSequence) {
  ManualClock clock(kStart);
  IdAllocator ids(clock, 0xab, 5);
  const std::int64_t id = ids.NextMemberId().value();
  EXPECT_EQ(id >> 20, 1'750'000'000'123);
  EXPECT_EQ(id >> 12 & 0xff, 0xab);
  EXPECT_EQ(id & 0xfff, 5);
  EXPECT_EQ(IdAllocator::TimeOf(id), kStart);
}

TEST(IdAllocatorTest, RisesInOrderOfTime) {
  ManualClock clock(kStart);
  IdAllocator ids(clock, 1, 2000);
  std::int64_t last = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (i % 7 == 0) clock.Advance(Duration(i % 3 * 700));
    const std::int64_t id = ids.NextMemberId().value();
    EXPECT_GT(id, last);
    last = id;
  }
}

TEST(IdAllocatorTest, RunsAheadOfTheClockRatherThanRepeating) {
  ManualClock clock(kStart);
  IdAllocator ids(clock, 1, 0);
  const std::int64_t first = ids.NextMemberId().value();
  std::int64_t last = first;
  for (int i = 1; i < 10'000; ++i) {  // within one millisecond
    const std::int64_t id = ids.NextMemberId().value();
    ASSERT_GT(id, last);
    ASSERT_EQ(id >> 12 & 0xff, 1);
    last = id;
  }
  EXPECT_EQ(IdAllocator::TimeOf(last), kStart + milliseconds(2));  // 4,096 each
}

TEST(IdAllocatorTest, AClockThatStepsBackDoesNotRepeat) {
  ManualClock clock(kStart);
  IdAllocator ids(clock, 1, 0);
  const OperationId before = ids.NextOperationId();
  clock.Advance(-std::chrono::hours(24));
  EXPECT_GT(ids.NextOperationId(), before);
  clock.Advance(-std::chrono::duration_cast<Duration>(kStart.time_since_epoch()));  // and to before 1970
  EXPECT_GT(ids.NextOperationId(), before);
}

TEST(IdAllocatorTest, AnUnsetClockStillGivesPositiveNumbers) {
  ManualClock clock(Timestamp(-std::chrono::hours(1000)));
  IdAllocator ids(clock, 0, 0);
  EXPECT_GT(ids.NextMemberId().value(), 0);
}

TEST(IdAllocatorTest, RunsWithDifferentFirstSequencesDoNotCollideAfterAStepBack) {
  std::set<std::int64_t> seen;
  for (const std::uint16_t first_sequence : {std::uint16_t{0}, std::uint16_t{100}, std::uint16_t{2047}}) {
    ManualClock clock(kStart);  // each run sees the same times
    IdAllocator ids(clock, 1, first_sequence);
    for (int i = 0; i < 300; ++i) {
      if (i % 30 == 0) clock.Advance(milliseconds(1));
      EXPECT_TRUE(seen.insert(ids.NextMemberId().value()).second);
    }
  }
}

TEST(IdAllocatorTest, ARangeIsContiguousOverItsCarries) {
  ManualClock clock(kStart);
  IdAllocator ids(clock, 0xff, 2047);
  constexpr std::uint64_t kCount = 20'000;
  const std::int64_t before = ids.NextMemberId().value();
  const std::int64_t first = ids.ReserveRange(kCount);
  const std::int64_t after = ids.NextMemberId().value();
  EXPECT_GT(first, before);
  EXPECT_EQ(IdAllocator::IdOfRange(first, 0), first);
  std::int64_t last = before;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    const std::int64_t id = IdAllocator::IdOfRange(first, i);
    ASSERT_GT(id, last);
    ASSERT_EQ(id >> 12 & 0xff, 0xff) << "a carry must skip the node";
    last = id;
  }
  EXPECT_EQ(after, IdAllocator::IdOfRange(first, kCount)) << "the first number after the range";
}

TEST(IdAllocatorTest, TheCarryOverASequenceGoesToTheNextMillisecond) {
  ManualClock clock(kStart);
  IdAllocator ids(clock, 3, 0);
  const std::int64_t first = ids.ReserveRange(5000);
  EXPECT_EQ(IdAllocator::IdOfRange(first, 4095) & 0xfff, 4095);
  EXPECT_EQ(IdAllocator::IdOfRange(first, 4096) & 0xfff, 0);
  EXPECT_EQ(IdAllocator::TimeOf(IdAllocator::IdOfRange(first, 4096)), kStart + milliseconds(1));
}

TEST(IdAllocatorTest, TheLowestOfAMomentDividesWhatCameBefore) {
  ManualClock clock(kStart);
  IdAllocator ids(clock, 3, 77);
  const std::int64_t before = ids.NextMemberId().value();
  clock.Advance(milliseconds(5));
  const std::int64_t lowest = IdAllocator::LowestAt(clock.Now());
  EXPECT_EQ(IdAllocator::TimeOf(lowest), clock.Now());
  EXPECT_LT(before, lowest);
  EXPECT_GE(ids.NextMemberId().value(), lowest);
  EXPECT_EQ(IdAllocator::LowestAt(Timestamp(milliseconds(-1))), 0);
}

TEST(IdAllocatorDeathTest, AnEmptyRangeIsAMistakeOfOurs) {
  ManualClock clock(kStart);
  IdAllocator ids(clock, 1, 0);
  EXPECT_DEATH(ids.ReserveRange(0), "check failed");
}

TEST(IdAllocatorTest, ThreadsShareOneRisingSequence) {
  const SystemClock clock;
  IdAllocator ids(clock, 1, 0);
  constexpr int kEach = 20'000;
  std::vector<std::vector<std::int64_t>> given(4);
  std::vector<std::thread> threads;
  for (auto& mine : given) {
    threads.emplace_back([&] {
      mine.reserve(kEach);
      for (int i = 0; i < kEach; ++i) mine.push_back(ids.NextMemberId().value());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::int64_t> all;
  for (const auto& mine : given) {
    EXPECT_EQ(std::ranges::adjacent_find(mine, std::greater_equal<>()), mine.end()) << "strictly rising in each thread";
    all.insert(mine.begin(), mine.end());
  }
  EXPECT_EQ(all.size(), given.size() * kEach);
}

}  // namespace
}  // namespace muster
