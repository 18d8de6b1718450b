#include "app/bench/bench_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(BenchViewTest, ASecondIsALine) {
  EXPECT_EQ(BenchView::Line({.second = 11,
                             .length_seconds = 0.5,
                             .succeeded = 600,
                             .failed = 3,
                             .p50 = microseconds(312),
                             .p99 = microseconds(1204),
                             .max = milliseconds(4)}),
            "  12 s  1,200/s  p50 0.31  p99 1.20  max 4.00 ms  3 failed");
  EXPECT_THAT(BenchView::Line({.second = -2, .is_generator_limited = true}), HasSubstr("warm-up  generator-limited"));
}

TEST(BenchViewTest, TheTableHasWhatWasAskedForAndWhatWasFound) {
  const BenchFacts facts{.target = "http://h:1",
                         .rate = 1000,
                         .connections = 8,
                         .mix = ParseLoadMix("get=9,update=1").value(),
                         .zipf_exponent = 0.99,
                         .members = 1234,
                         .is_sample = true};
  BenchResult result{
      .measurement = {}, .measured_seconds = 2, .verdict = {.limit = LoadLimit::kServer, .reason = "why"}};
  result.measurement.of(LoadVerb::kGet).succeeded = 1800;
  result.measurement.of(LoadVerb::kGet).latency.Record(milliseconds(2), 1800);
  result.measurement.of(LoadVerb::kUpdate).failed = 200;
  result.measurement.failures.Add("503 OVERLOADED", 200);
  const std::string table = RenderBenchTable({}, facts, result);
  for (const char* part :
       {"1,000 requests/s, 8 connections", "Zipf 0.99 over 1,234 members, a sample", "900 succeeded/s", "server: why",
        "get", "1,800", "2.000", "all, from sent", "503 OVERLOADED"})
    EXPECT_THAT(table, HasSubstr(part));
  EXPECT_THAT(table, Not(HasSubstr("resolve")));
  EXPECT_THAT(table, Not(HasSubstr("stalls")));
  result.stalls.push_back({.from = milliseconds(14'300), .length = milliseconds(1'020)});
  EXPECT_THAT(RenderBenchTable({}, facts, result), HasSubstr("no answer for 1.02 s from 14.3 s on"));
}

}  // namespace
}  // namespace muster
