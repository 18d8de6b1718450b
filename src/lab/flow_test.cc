#include "lab/flow.h"

#include <gtest/gtest.h>

#include <chrono>

namespace muster::lab {
namespace {

using std::chrono::milliseconds;
using Next = Flow::Next;

Instant FlowTime(int at_ms) { return Instant(milliseconds(at_ms)); }

TEST(Flow, NothingIsThereBeforeItsTime) {
  Flow flow;
  flow.Put("hello", FlowTime(10));
  EXPECT_EQ(flow.NextAt(FlowTime(9)), Next::kNothing);
  EXPECT_EQ(flow.DueAfter(FlowTime(9)), FlowTime(10));
  EXPECT_EQ(flow.NextAt(FlowTime(10)), Next::kBytes);
  EXPECT_EQ(flow.DueAfter(FlowTime(10)), std::nullopt);
  EXPECT_EQ(flow.Front(), "hello");
}

TEST(Flow, WhatIsSentLaterDoesNotOvertake) {
  Flow flow;
  flow.Put("slow", FlowTime(100));
  flow.Put("fast", FlowTime(5));  // the delay was taken away meanwhile
  EXPECT_EQ(flow.NextAt(FlowTime(50)), Next::kNothing);
  flow.Take(0);
  EXPECT_EQ(flow.NextAt(FlowTime(100)), Next::kBytes);
  EXPECT_EQ(flow.Front(), "slow");
  flow.Take(4);
  EXPECT_EQ(flow.Front(), "fast");
}

TEST(Flow, PartsAreTaken) {
  Flow flow;
  flow.Put("hello", FlowTime(0));
  flow.Take(2);
  EXPECT_EQ(flow.Front(), "llo");
  EXPECT_EQ(flow.room(), Flow::kBytesMax - 3);
  flow.Take(3);
  EXPECT_EQ(flow.NextAt(FlowTime(0)), Next::kNothing);
  EXPECT_EQ(flow.room(), Flow::kBytesMax);
}

TEST(Flow, ItHoldsABoundedAmount) {
  Flow flow;
  flow.Put(std::string(Flow::kBytesMax, 'x'), FlowTime(0));
  EXPECT_EQ(flow.room(), 0u);
  flow.Take(1000);
  EXPECT_EQ(flow.room(), 1000u);
}

TEST(Flow, TheEndComesAfterAllBytes) {
  Flow flow;
  flow.Put("last words", FlowTime(10));
  flow.End(FlowTime(10));
  EXPECT_EQ(flow.room(), 0u);
  EXPECT_EQ(flow.NextAt(FlowTime(10)), Next::kBytes);
  flow.Take(10);
  EXPECT_EQ(flow.NextAt(FlowTime(10)), Next::kEnd);
  flow.Finish();
  EXPECT_EQ(flow.NextAt(FlowTime(10)), Next::kNothing);
  EXPECT_TRUE(flow.is_finished());
}

TEST(Flow, AResetComesInItsTimeWhetherBytesAreTakenOrNot) {
  Flow flow;
  flow.Put("nobody reads this", FlowTime(10));
  flow.Abort(FlowTime(20));
  EXPECT_EQ(flow.DueAfter(FlowTime(10)), FlowTime(20));
  EXPECT_FALSE(flow.IsAbortDue(FlowTime(19)));
  EXPECT_TRUE(flow.IsAbortDue(FlowTime(20)));
  EXPECT_EQ(flow.NextAt(FlowTime(20)), Next::kBytes);  // if the reader has room
  flow.Take(17);
  EXPECT_EQ(flow.NextAt(FlowTime(20)), Next::kAbort);
}

TEST(Flow, AResetMayFollowAnEndAndIsTheLast) {
  Flow flow;
  flow.End(FlowTime(1));
  flow.Abort(FlowTime(2));
  EXPECT_EQ(flow.NextAt(FlowTime(1)), Next::kNothing);
  EXPECT_EQ(flow.NextAt(FlowTime(2)), Next::kAbort);
  flow.End(FlowTime(3));
  EXPECT_EQ(flow.NextAt(FlowTime(2)), Next::kAbort);
}

TEST(TokenBucket, GivesWhatTheRateAllows) {
  constexpr std::int64_t kRate = 1'000'000;
  TokenBucket bucket;
  std::size_t sent = 0;
  for (int at_ms = 1'000; at_ms < 2'000; ++at_ms) {
    const std::size_t count = bucket.Available(kRate, FlowTime(at_ms));
    bucket.Spend(count);
    sent += count;
  }
  EXPECT_GT(sent, 950'000u);
  EXPECT_LT(sent, 1'060'000u);  // a second's, and a burst
}

TEST(TokenBucket, ARestGivesABurstAndNotMore) {
  TokenBucket bucket;
  EXPECT_EQ(bucket.Available(1'000'000, FlowTime(3'600'000)), 50'000u);
  bucket.Spend(50'000);
  EXPECT_EQ(bucket.Available(1'000'000, FlowTime(3'600'000)), 0u);
  EXPECT_GT(TokenBucket::Again(1'000'000, FlowTime(0)), FlowTime(0));
  EXPECT_LT(TokenBucket::Again(1'000'000, FlowTime(0)), FlowTime(20));
}

}  // namespace
}  // namespace muster::lab
