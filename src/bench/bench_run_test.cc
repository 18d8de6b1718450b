#include "bench/bench_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/report.h"
#include "bench/svg_chart.h"
#include "bench/svg_plot.h"
#include "bench/testing/simulated_transport.h"

namespace muster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

class BenchRunTest : public ::testing::Test {
 protected:
  BenchRunTest() { population_.members.emplace_back(1); }

  // Each thread has a clock of its own, so it is over as soon as it has computed.
  std::vector<std::unique_ptr<LoadTransport>> Transports(int count, bool fails = false) {
    std::vector<std::unique_ptr<LoadTransport>> transports;
    for (int i = 0; i < count; ++i) {
      transports.push_back(std::make_unique<SimulatedTransport>(SimulatedTransport::Options{
          .connections = 8, .fate = [fails](std::uint64_t n, BenchTime sent) {
            const bool is_success = !fails || n % 2 == 0;
            return SimulatedTransport::Fate{
                .at = sent + milliseconds(2), .is_success = is_success, .code = "503 OVERLOADED"};
          }}));
    }
    return transports;
  }

  BenchRun::Options Options(std::uint64_t rate) const {
    return {.rate = rate,
            .warm_up = seconds(1),
            .duration = seconds(3),
            .patience = seconds(1),
            .calls = {.mix = ParseLoadMix("get=1").value()}};
  }

  BenchFacts Facts(std::uint64_t rate) const {
    return {.target = "http://h:1/<&>",
            .protocol = "http",
            .rate = rate,
            .duration_seconds = 3,
            .connections = 16,
            .mix = ParseLoadMix("get=1").value(),
            .members = 1};
  }

  Population population_;
};

TEST_F(BenchRunTest, ThreadsAreOneLoad) {
  BenchRun run(Options(1000), population_, Transports(3));
  run.Start();
  const BenchResult result = run.Finish();
  EXPECT_TRUE(run.is_finished());
  EXPECT_EQ(result.measurement.sent, 3'000U);
  EXPECT_EQ(result.measurement.succeeded(), 3'000U);
  EXPECT_EQ(result.measured_seconds, 3);
  EXPECT_FALSE(result.is_interrupted);
  ASSERT_EQ(result.seconds.size(), 3U);
  for (std::int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(result.seconds[i].second, i);
    EXPECT_EQ(result.seconds[i].sent, 1'000U);
  }
  const auto shown = run.TakeSeconds();
  ASSERT_EQ(shown.size(), 4U);
  EXPECT_EQ(shown.front().second, -1);
  EXPECT_TRUE(run.TakeSeconds().empty());
  EXPECT_NEAR(Throughput(result), 1000, 1);
}

TEST_F(BenchRunTest, AStopIsAnInterruption) {
  BenchRun::Options options = Options(1000);
  options.duration = std::chrono::hours(20);
  BenchRun run(options, population_, Transports(2));
  run.Start();
  run.Stop();
  EXPECT_TRUE(run.Finish().is_interrupted);
}

TEST_F(BenchRunTest, DestroyingItStopsIt) {
  BenchRun::Options options = Options(1000);
  options.duration = std::chrono::hours(20);
  BenchRun run(options, population_, Transports(2));
  run.Start();
}

TEST_F(BenchRunTest, ReportsNameWhatFailed) {
  BenchRun run(Options(1000), population_, Transports(1, true));
  run.Start();
  const BenchResult result = run.Finish();
  const std::string json = RenderBenchJson(Facts(1000), result);
  EXPECT_THAT(json, HasSubstr(R"("errors":{"503 OVERLOADED":1500})"));
  EXPECT_THAT(json, HasSubstr(R"("mode":"open","rate":1000)"));
  EXPECT_THAT(json, HasSubstr(R"("generatorLimited":false)"));
  const std::string csv = RenderBenchCsv(result);
  EXPECT_EQ(std::ranges::count(csv, '\n'), 4);
  EXPECT_THAT(csv, HasSubstr("\n1,1.000,1000,500,500,2."));
}

TEST_F(BenchRunTest, AStallOfTheServerIsNamed) {
  // Each thread has its own clock, and meets the stall at the same time of it: a second after the measurement began.
  std::vector<std::unique_ptr<LoadTransport>> transports;
  for (int i = 0; i < 2; ++i) {
    transports.push_back(std::make_unique<SimulatedTransport>(SimulatedTransport::Options{
        .connections = 8, .fate = [](std::uint64_t n, BenchTime sent) {
          const bool is_first_of_stall = n >= 1000 && n < 1008;  // 500 a second of this thread: at its third second
          return SimulatedTransport::Fate{.at = sent + (is_first_of_stall ? seconds(1) : milliseconds(2))};
        }}));
  }
  BenchRun run(Options(1000), population_, std::move(transports));
  run.Start();
  const BenchResult result = run.Finish();
  ASSERT_EQ(result.stalls.size(), 1U);
  EXPECT_NEAR(std::chrono::duration<double>(result.stalls[0].from).count(), 1, 0.02);
  EXPECT_NEAR(std::chrono::duration<double>(result.stalls[0].length).count(), 1, 0.02);
  const std::string json = RenderBenchJson(Facts(1000), result);
  EXPECT_THAT(json, HasSubstr(R"("stalls":[{"fromSeconds":1.)"));
  EXPECT_THAT(RenderBenchCsv(result), HasSubstr(",stalled_ms\n0,1.000,"));
  EXPECT_EQ(result.seconds[0].stalled, BenchTime{0});
  EXPECT_GT(result.seconds[1].stalled, milliseconds(950));
  const std::string svg = RenderBenchSvg(Facts(1000), result);
  EXPECT_THAT(svg, HasSubstr("; no answer for "));
  EXPECT_THAT(svg, HasSubstr("<rect class=\"band\""));
}

// The clearest standstill: most of what was sent was never answered.
TEST_F(BenchRunTest, AStallInWhichRequestsTimeOutIsNamed) {
  std::vector<std::unique_ptr<LoadTransport>> transports;
  transports.push_back(std::make_unique<SimulatedTransport>(SimulatedTransport::Options{
      .connections = 100, .fate = [](std::uint64_t n, BenchTime sent) {
        if (n < 150)
          return SimulatedTransport::Fate{.at = sent + milliseconds(2)};  // the first half second after the warm-up
        return SimulatedTransport::Fate{
            .at = sent + seconds(1), .kind = LoadAnswer::Kind::kTimedOut, .is_success = false, .code = "timeout"};
      }}));
  BenchRun run(Options(100), population_, std::move(transports));
  run.Start();
  const BenchResult result = run.Finish();
  ASSERT_EQ(result.stalls.size(), 1U);
  EXPECT_NEAR(std::chrono::duration<double>(result.stalls[0].from).count(), 0.5, 0.05);
  EXPECT_GT(result.stalls[0].length, seconds(2));
}

TEST_F(BenchRunTest, PlotsAreDrawn) {
  BenchRun run(Options(1000), population_, Transports(1));
  run.Start();
  BenchResult result = run.Finish();
  const std::string svg = RenderBenchSvg(Facts(1000), result);
  EXPECT_THAT(svg, HasSubstr("http://h:1/&lt;&amp;&gt;"));
  EXPECT_THAT(svg, HasSubstr("prefers-color-scheme: dark"));
  EXPECT_THAT(svg, HasSubstr(">p99.9</text>"));
  EXPECT_THAT(svg, HasSubstr(">99.9 %</text>"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("generator-limited")));
  result.verdict.limit = LoadLimit::kGenerator;
  EXPECT_THAT(RenderBenchSvg(Facts(0), result), HasSubstr("generator-limited"));
}

TEST_F(BenchRunTest, APlotOfNothingAndOneOfADayAreBounded) {
  const std::string nothing = RenderBenchSvg(Facts(1000), BenchResult());
  EXPECT_THAT(nothing, Not(HasSubstr("nan")));
  EXPECT_THAT(nothing, Not(HasSubstr("inf")));
  BenchResult day;
  for (std::int64_t i = 0; i < 86'400; ++i)
    day.seconds.push_back({.second = i, .succeeded = 10, .p50 = milliseconds(1), .max = milliseconds(i % 100 + 1)});
  EXPECT_LT(RenderBenchSvg(Facts(1000), day).size(), 200'000U);
}

TEST(SvgScaleTest, CoversItsValues) {
  const SvgScale linear = SvgScale::Linear(0, 1234);
  EXPECT_EQ(linear.Position(0), 0);
  EXPECT_LE(linear.Position(1234), 1);
  EXPECT_GT(linear.Position(1234), 0.8);
  EXPECT_EQ(linear.ticks().front().label, "0");
  const SvgScale logarithmic = SvgScale::Logarithmic(0.02, 700);
  EXPECT_NEAR(logarithmic.Position(1), 0.4, 1e-9);
  EXPECT_EQ(logarithmic.ticks().size(), 6U);
  EXPECT_EQ(logarithmic.Position(0), 0);
  EXPECT_EQ(SvgScale::Nines(1e5).ticks()[3].label, "99.9 %");
  EXPECT_EQ(SvgText("a<b>&\"c\"\x01"), "a&lt;b&gt;&amp;&quot;c&quot; ");
}

}  // namespace
}  // namespace muster
