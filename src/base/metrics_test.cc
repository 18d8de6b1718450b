#include "base/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <numeric>
#include <thread>

namespace muster {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(Counter, ThreadsAddUp) {
  constexpr int kThreads = 12;  // more than there are stripes
  constexpr int kEach = 20'000;
  Counter counter;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&counter] {
        for (int i = 0; i < kEach; ++i) counter.Add();
      });
    }
  }
  EXPECT_EQ(counter.Value(), static_cast<std::uint64_t>(kThreads) * kEach);
}

TEST(Counter, AddsAmounts) {
  Counter counter;
  EXPECT_EQ(counter.Value(), 0U);
  counter.Add(0);
  counter.Add(5);
  counter.Add();
  EXPECT_EQ(counter.Value(), 6U);
}

TEST(MetricStripe, IsAThreadsForLife) {
  const std::size_t mine = MetricStripe();
  EXPECT_LT(mine, kMetricStripes);
  EXPECT_EQ(MetricStripe(), mine);
}

TEST(Histogram, ADurationOnABoundBelongsBelowIt) {
  Histogram histogram;
  histogram.Record(microseconds(10));
  histogram.Record(microseconds(11));
  histogram.Record(seconds(10));
  histogram.Record(seconds(10) + microseconds(1));
  const auto snapshot = histogram.Read();
  EXPECT_EQ(snapshot.counts[0], 1U);
  EXPECT_EQ(snapshot.counts[1], 1U);
  EXPECT_EQ(snapshot.counts[18], 1U);
  EXPECT_EQ(snapshot.counts[19], 1U);
  EXPECT_EQ(snapshot.sum_micros, 20'000'022U);
}

TEST(Histogram, ANegativeDurationIsZero) {
  Histogram histogram;
  histogram.Record(microseconds(-5));
  const auto snapshot = histogram.Read();
  EXPECT_EQ(snapshot.counts[0], 1U);
  EXPECT_EQ(snapshot.sum_micros, 0U);
}

TEST(Histogram, ThreadsAddUp) {
  constexpr int kThreads = 10;
  constexpr int kEach = 5'000;
  Histogram histogram;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&histogram] {
        for (int i = 0; i < kEach; ++i) histogram.Record(microseconds(i));
      });
    }
  }
  const auto snapshot = histogram.Read();
  EXPECT_EQ(std::accumulate(snapshot.counts.begin(), snapshot.counts.end(), std::uint64_t{0}), kThreads * kEach);
  EXPECT_EQ(snapshot.sum_micros, std::uint64_t{kThreads} * kEach * (kEach - 1) / 2);
}

RC_GTEST_PROP(Histogram, EveryDurationIsBetweenTheBoundsOfItsBucket, ()) {
  const auto micros = *rc::gen::inRange<std::int64_t>(0, 20'000'000);
  Histogram histogram;
  histogram.Record(microseconds(micros));
  const auto snapshot = histogram.Read();
  for (std::size_t i = 0; i < snapshot.counts.size(); ++i) {
    if (snapshot.counts[i] == 0) continue;
    RC_ASSERT((i == Histogram::kBoundsMicros.size() || micros <= Histogram::kBoundsMicros[i]));
    RC_ASSERT((i == 0 || micros > Histogram::kBoundsMicros[i - 1]));
  }
}

TEST(MetricRegistry, ExposesCounters) {
  MetricRegistry registry;
  registry.AddCounter("muster_http_requests_total", "Requests served.", {{"code", "OK"}}).Add(3);
  registry.AddCounter("muster_http_requests_total", "Requests served.", {{"code", "STALE"}}).Add(1);
  const std::string text = registry.Expose();
  EXPECT_THAT(text, HasSubstr("# HELP muster_http_requests_total Requests served.\n"
                              "# TYPE muster_http_requests_total counter\n"));
  EXPECT_THAT(text, HasSubstr("muster_http_requests_total{code=\"OK\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("muster_http_requests_total{code=\"STALE\"} 1\n"));
}

TEST(MetricRegistry, CountsExactlyBeyondAMillion) {
  MetricRegistry registry;
  registry.AddCounter("muster_test_bytes_total", "Bytes.").Add(1'234'567'890'123);
  EXPECT_THAT(registry.Expose(), HasSubstr("muster_test_bytes_total 1234567890123\n"));
}

TEST(MetricRegistry, ExposesHistogramsInSecondsAndCumulatively) {
  MetricRegistry registry;
  Histogram& histogram = registry.AddHistogram("muster_store_commit_duration_seconds", "How long commits take.");
  histogram.Record(microseconds(10));
  histogram.Record(microseconds(150));
  histogram.Record(milliseconds(250));
  histogram.Record(seconds(20));
  const std::string text = registry.Expose();
  EXPECT_THAT(text, HasSubstr("# TYPE muster_store_commit_duration_seconds histogram\n"));
  EXPECT_THAT(text, HasSubstr("muster_store_commit_duration_seconds_bucket{le=\"1e-05\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("muster_store_commit_duration_seconds_bucket{le=\"0.0002\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("muster_store_commit_duration_seconds_bucket{le=\"0.5\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("muster_store_commit_duration_seconds_bucket{le=\"10\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("muster_store_commit_duration_seconds_bucket{le=\"+Inf\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("muster_store_commit_duration_seconds_count 4\n"));
  EXPECT_THAT(text, HasSubstr("muster_store_commit_duration_seconds_sum 20.25016\n"));
}

TEST(MetricRegistry, ReadsGaugesWhenAsked) {
  MetricRegistry registry;
  double depth = 1;
  registry.AddGauge("muster_store_queue_rows", "Rows that wait.", [&depth] { return depth; });
  EXPECT_THAT(registry.Expose(), HasSubstr("muster_store_queue_rows 1\n"));
  depth = 2.5;
  EXPECT_THAT(registry.Expose(), HasSubstr("muster_store_queue_rows 2.5\n"));
}

TEST(MetricRegistry, ReadsCountersThatAreKeptElsewhere) {
  MetricRegistry registry;
  double dropped = 3;
  registry.AddReadCounter("muster_log_lines_dropped_total", "Lines lost.", [&dropped] { return dropped; });
  EXPECT_THAT(registry.Expose(), HasSubstr("# TYPE muster_log_lines_dropped_total counter\n"
                                           "muster_log_lines_dropped_total 3\n"));
  dropped = 4;
  EXPECT_THAT(registry.Expose(), HasSubstr("muster_log_lines_dropped_total 4\n"));
}

TEST(MetricRegistry, SharesAnExpositionUntilItIsOld) {
  MetricRegistry registry;
  Counter& counter = registry.AddCounter("muster_test_things_total", "Things.");
  const Instant start{seconds(100)};
  const auto first = registry.ExposeShared(start, seconds(1));
  counter.Add();
  EXPECT_EQ(registry.ExposeShared(start + milliseconds(999), seconds(1)), first);
  EXPECT_THAT(*registry.ExposeShared(start + seconds(1), seconds(1)), HasSubstr("muster_test_things_total 1\n"));
  counter.Add();
  EXPECT_THAT(*registry.ExposeShared(start + seconds(1), seconds(0)), HasSubstr("muster_test_things_total 2\n"));
}

TEST(MetricRegistry, EscapesLabelValues) {
  MetricRegistry registry;
  registry.AddCounter("muster_test_things_total", "Things.", {{"route", "a\"b\\c\nd"}});
  const std::string text = registry.Expose();
  EXPECT_THAT(text, HasSubstr("route=\"a\\\"b\\\\c\\nd\""));
}

TEST(MetricRegistry, TheSameNameAndLabelsAreTheSameObject) {
  MetricRegistry registry;
  Counter& one = registry.AddCounter("muster_test_things_total", "Things.", {{"kind", "a"}});
  Counter& other = registry.AddCounter("muster_test_things_total", "Things.", {{"kind", "b"}});
  EXPECT_EQ(&registry.AddCounter("muster_test_things_total", "Things.", {{"kind", "a"}}), &one);
  EXPECT_NE(&other, &one);
  Histogram& histogram = registry.AddHistogram("muster_test_wait_seconds", "Waits.");
  EXPECT_EQ(&registry.AddHistogram("muster_test_wait_seconds", "Waits."), &histogram);
}

TEST(MetricRegistry, DescribesItselfInOrder) {
  MetricRegistry registry;
  registry.AddHistogram("muster_b_wait_seconds", "Waits.", {{"route", "x"}, {"code", "y"}});
  registry.AddCounter("muster_a_things_total", "Things.");
  registry.AddGauge("muster_c_depth_rows", "Depth.", [] { return 0.0; });
  const auto all = registry.Describe();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].name, "muster_a_things_total");
  EXPECT_EQ(all[0].type, "counter");
  EXPECT_EQ(all[1].type, "histogram");
  EXPECT_EQ(all[1].help, "Waits.");
  EXPECT_THAT(all[1].label_names, ElementsAre("code", "route"));
  EXPECT_EQ(all[2].type, "gauge");
}

TEST(MetricRegistry, ExposesWhileOthersCountAndRegister) {
  MetricRegistry registry;
  std::atomic<bool> stop{false};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        registry.AddCounter("muster_test_things_total", "Things.", {{"kind", std::to_string(t * 200 + i)}}).Add();
      }
    });
  }
  std::jthread exposing([&] {
    while (!stop) EXPECT_THAT(registry.Expose(), Not(HasSubstr("nan")));
  });
  threads.clear();
  stop = true;
  exposing.join();
  const std::string text = registry.Expose();
  EXPECT_EQ(std::ranges::count(text, '\n'), 602);
}

TEST(MetricRegistryDeathTest, AbortsOnANameOutsideTheConventions) {
  const auto counter = [](const char* name) { MetricRegistry().AddCounter(name, "Help."); };
  const auto gauge = [](const char* name) { MetricRegistry().AddGauge(name, "Help.", [] { return 0.0; }); };
  const auto histogram = [](const char* name) { MetricRegistry().AddHistogram(name, "Help."); };
  for (const char* name : {"", "http_requests_total", "muster_Http_requests_total", "muster_http-requests_total",
                           "muster__http_total", "muster_http_requests", "muster_wait_milliseconds_total"}) {
    EXPECT_DEATH(counter(name), "check failed") << name;
  }
  for (const char* name : {"muster_rows_total", "muster_rows_count", "muster_rows_sum", "muster_rows_bucket",
                           "muster_rows_", "muster_used_mib", "muster_wait_ms", "muster_used_percent"}) {
    EXPECT_DEATH(gauge(name), "check failed") << name;
  }
  for (const char* name : {"muster_wait", "muster_wait_milliseconds", "muster_wait_seconds_total"}) {
    EXPECT_DEATH(histogram(name), "check failed") << name;
  }
}

TEST(MetricRegistryDeathTest, AbortsOnLabelsThatAreNotOfTheFamily) {
  MetricRegistry registry;
  registry.AddCounter("muster_test_things_total", "Things.", {{"kind", "a"}});
  EXPECT_DEATH(registry.AddCounter("muster_test_things_total", "Things."), "check failed");
  EXPECT_DEATH(registry.AddCounter("muster_test_things_total", "Things.", {{"sort", "a"}}), "check failed");
  EXPECT_DEATH(registry.AddCounter("muster_test_others_total", "Things.", {{"Kind", "a"}}), "check failed");
  EXPECT_DEATH(registry.AddCounter("muster_test_others_total", "Things.", {{"le", "a"}}), "check failed");
}

TEST(MetricRegistryDeathTest, AbortsOnASecondHelpTypeOrGauge) {
  MetricRegistry registry;
  registry.AddCounter("muster_test_things_total", "Things.");
  registry.AddGauge("muster_test_depth_rows", "Depth.", [] { return 0.0; });
  EXPECT_DEATH(registry.AddCounter("muster_test_things_total", "Other things."), "check failed");
  EXPECT_DEATH(registry.AddCounter("muster_test_none_total", ""), "check failed");
  EXPECT_DEATH(registry.AddGauge("muster_test_depth_rows", "Depth.", [] { return 1.0; }), "check failed");
  EXPECT_DEATH(registry.AddReadCounter("muster_test_things_total", "Things.", [] { return 1.0; }), "check failed");
  EXPECT_DEATH(registry.AddGauge("muster_test_null_rows", "Depth.", nullptr), "check failed");
}

}  // namespace
}  // namespace muster
