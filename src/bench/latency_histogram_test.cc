#include "bench/latency_histogram.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>

namespace muster {
namespace {

using Time = LatencyHistogram::Time;

TEST(HistogramTest, NothingIsZero) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.min(), Time{0});
  EXPECT_EQ(histogram.max(), Time{0});
  EXPECT_EQ(histogram.mean(), Time{0});
  EXPECT_EQ(histogram.Percentile(99), Time{0});
  EXPECT_TRUE(histogram.Steps().empty());
}

TEST(HistogramTest, SmallValuesAreExact) {
  LatencyHistogram histogram;
  for (int i = 1; i <= 100; ++i) histogram.Record(Time(i));
  EXPECT_EQ(histogram.Percentile(0), Time{1});
  EXPECT_EQ(histogram.Percentile(1), Time{1});
  EXPECT_EQ(histogram.Percentile(50), Time{50});
  EXPECT_EQ(histogram.Percentile(99), Time{99});
  EXPECT_EQ(histogram.Percentile(99.5), Time{100});
  EXPECT_EQ(histogram.Percentile(100), Time{100});
  EXPECT_EQ(histogram.mean(), Time{51});  // 50.5
  EXPECT_EQ(histogram.CountFrom(Time{91}), 10U);
}

TEST(HistogramTest, WhatDoesNotFitCountsAsTheNearestThatDoes) {
  LatencyHistogram histogram;
  histogram.Record(Time{-5});
  histogram.Record(Time::max(), 2);
  histogram.Record(Time{7}, 0);
  EXPECT_EQ(histogram.count(), 3U);
  EXPECT_EQ(histogram.min(), Time{0});
  EXPECT_EQ(histogram.max(), LatencyHistogram::kMax);
  EXPECT_EQ(histogram.Percentile(100), LatencyHistogram::kMax);
}

TEST(HistogramTest, ManyCountAsSoMany) {
  LatencyHistogram histogram;
  histogram.Record(std::chrono::milliseconds(1), 990);
  histogram.Record(std::chrono::seconds(1), 10);
  EXPECT_LE(histogram.Percentile(99), std::chrono::microseconds(1004));
  EXPECT_EQ(histogram.Percentile(99.1), std::chrono::seconds(1));
  EXPECT_EQ(histogram.CountFrom(std::chrono::milliseconds(500)), 10U);
  histogram.Clear();
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.max(), Time{0});
}

// Values spread over all magnitudes.
rc::Gen<std::vector<std::int64_t>> AnyTimes() {
  const auto time =
      rc::gen::map(rc::gen::pair(rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << 42), rc::gen::inRange(0, 42)),
                   [](const std::pair<std::int64_t, int>& drawn) { return drawn.first >> drawn.second; });
  return rc::gen::nonEmpty(rc::gen::container<std::vector<std::int64_t>>(time));
}

LatencyHistogram Of(const std::vector<std::int64_t>& times) {
  LatencyHistogram histogram;
  for (const std::int64_t time : times) histogram.Record(Time(time));
  return histogram;
}

RC_GTEST_PROP(HistogramPropertyTest, PercentilesAreWithinTheError, ()) {
  auto times = *AnyTimes();
  const LatencyHistogram histogram = Of(times);
  std::ranges::sort(times);
  for (const double percent : {0.0, 10.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(static_cast<double>(times.size()) * percent / 100));
    const std::int64_t truth = times[std::clamp<std::size_t>(rank, 1, times.size()) - 1];
    const std::int64_t answer = histogram.Percentile(percent).count();
    RC_ASSERT(answer >= truth);
    RC_ASSERT(answer <= truth + truth / 256);
  }
  RC_ASSERT(histogram.min().count() == times.front());
  RC_ASSERT(histogram.max().count() == times.back());
}

RC_GTEST_PROP(HistogramPropertyTest, MergedIsRecordedTogether, ()) {
  const auto one = *AnyTimes();
  const auto other = *AnyTimes();
  LatencyHistogram merged = Of(one);
  merged.Merge(Of(other));
  merged.Merge(LatencyHistogram());
  auto all = one;
  all.insert(all.end(), other.begin(), other.end());
  const LatencyHistogram together = Of(all);
  RC_ASSERT(merged.count() == together.count());
  RC_ASSERT(merged.min() == together.min());
  RC_ASSERT(merged.max() == together.max());
  for (double percent = 0; percent <= 100; percent += 0.5)
    RC_ASSERT(merged.Percentile(percent) == together.Percentile(percent));
}

RC_GTEST_PROP(HistogramPropertyTest, StepsRiseToAll, ()) {
  const LatencyHistogram histogram = Of(*AnyTimes());
  const auto steps = histogram.Steps();
  RC_ASSERT(!steps.empty());
  for (std::size_t i = 1; i < steps.size(); ++i) {
    RC_ASSERT(steps[i - 1].value < steps[i].value);
    RC_ASSERT(steps[i - 1].share < steps[i].share);
  }
  RC_ASSERT(steps.back().share == 1.0);
  RC_ASSERT(steps.back().value == histogram.max());
}

}  // namespace
}  // namespace muster
