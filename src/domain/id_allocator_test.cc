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

TEST(IdAllocatorTest, BeginsAboveWhatWasGivenOut) {
  ManualClock clock(kStart);
  IdAllocator before(clock, 1, 2047);
  std::int64_t newest = 0;
  for (int i = 0; i < 5000; ++i) newest = before.NextMemberId().value();
  clock.Advance(-std::chrono::hours(1));  // while it is down
  IdAllocator after(clock, 1, 2047, newest);
  for (int i = 0; i < 5000; ++i) ASSERT_GT(after.NextMemberId().value(), newest);
  clock.Advance(std::chrono::hours(2));
  EXPECT_EQ(IdAllocator::TimeOf(after.NextMemberId().value()), clock.Now()) << "with the clock again, once it is ahead";
}

TEST(IdAllocatorTest, ARangeIsContiguousOverItsCarries) {
  constexpr std::uint64_t kCount = 20'000;
  const std::int64_t first = IdAllocator::FirstOfRange(kStart, 2047, 0, kCount).value();
  EXPECT_EQ(IdAllocator::IdOfRange(first, 0), first);
  EXPECT_EQ(IdAllocator::TimeOf(first), kStart);
  std::int64_t last = first - 1;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    const std::int64_t id = IdAllocator::IdOfRange(first, i);
    ASSERT_GT(id, last);
    ASSERT_TRUE(IdAllocator::IsOfRange(id)) << "a carry must skip the node";
    last = id;
  }
}

TEST(IdAllocatorTest, TheCarryOverASequenceGoesToTheNextMillisecond) {
  const std::int64_t first = IdAllocator::FirstOfRange(kStart, 0, 0, 5000).value();
  EXPECT_EQ(IdAllocator::IdOfRange(first, 4095) & 0xfff, 4095);
  EXPECT_EQ(IdAllocator::IdOfRange(first, 4096) & 0xfff, 0);
  EXPECT_EQ(IdAllocator::TimeOf(IdAllocator::IdOfRange(first, 4096)), kStart + milliseconds(1));
}

TEST(IdAllocatorTest, RangesNeverOverlapWhateverTheClockSays) {
  constexpr std::uint64_t kCount = std::uint64_t{1} << 20;
  std::int64_t last = 0;
  Timestamp now = kStart;
  for (int i = 0; i < 100; ++i) {
    const std::int64_t first = IdAllocator::FirstOfRange(now, 7, last, kCount).value();
    ASSERT_GT(first, last);
    last = IdAllocator::IdOfRange(first, kCount - 1);
    if (i % 9 == 0) now -= std::chrono::hours(1);
  }
  EXPECT_EQ(IdAllocator::TimeOf(IdAllocator::FirstOfRange(kStart + std::chrono::hours(1), 7, last, 1).value()),
            kStart + std::chrono::hours(1));
}

TEST(IdAllocatorTest, NoAllocatorGivesOutNumbersOfRanges) {
  ManualClock clock(kStart);
  for (const std::uint8_t node : {std::uint8_t{0}, std::uint8_t{254}}) {
    IdAllocator ids(clock, node, 0);
    for (int i = 0; i < 10'000; ++i) ASSERT_FALSE(IdAllocator::IsOfRange(ids.NextMemberId().value()));
  }
}

TEST(IdAllocatorTest, RangesEndInTheYear2248) {
  const Timestamp end{milliseconds((std::int64_t{1} << 43) - 1)};
  EXPECT_TRUE(IdAllocator::FirstOfRange(end, 0, 0, 4000));
  EXPECT_FALSE(IdAllocator::FirstOfRange(end, 0, 0, 5000));
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
  EXPECT_DEATH(IdAllocator::FirstOfRange(kStart, 0, 0, 0), "check failed");
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
