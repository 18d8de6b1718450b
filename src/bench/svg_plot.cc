#include "bench/svg_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "bench/svg_chart.h"

namespace muster {
namespace {

constexpr std::size_t kStepsMax = 800;
constexpr double kHeadHeight = 92;
constexpr double kNinesMax = 1e6;

// Distinct in colour, to the colour-blind too (after Okabe and Ito), and in dashes. Plain rules, since viewers other
// than browsers know no variables.
constexpr std::string_view kStyle = R"(<style>
text { font: 13px sans-serif; fill: #1a1a1a; }
.ground { fill: #ffffff; }
.headline { font-size: 18px; font-weight: 600; }
.title { font-size: 14px; font-weight: 600; }
.tick { font-size: 11px; fill: #5f6368; }
.name { font-size: 12px; }
.warning { fill: #b3261e; font-weight: 600; }
.grid { stroke: #e3e5e8; stroke-width: 1; }
.band { fill: #f6dfc4; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.a { stroke: #0072b2; }
.b { stroke: #b35900; stroke-dasharray: 8 3; }
.c { stroke: #7b3294; stroke-dasharray: 3 3; }
.d { stroke: #b3261e; stroke-dasharray: 1 3; }
@media (prefers-color-scheme: dark) {
  text { fill: #e8eaed; }
  .ground { fill: #14171a; }
  .tick { fill: #9aa0a6; }
  .warning { fill: #ff7b6e; }
  .grid { stroke: #2e3338; }
  .band { fill: #4a3420; }
  .a { stroke: #56b4e9; }
  .b { stroke: #f0a030; }
  .c { stroke: #cc9ae0; }
  .d { stroke: #ff7b6e; }
}
</style>
)";

struct Step {
  double second = 0;
  double p50 = 0;
  double p99 = 0;
  double p999 = 0;
  double max = 0;
  double succeeded = 0;  // a second
  double failed = 0;
};

std::vector<Step> Steps(const std::vector<SecondRow>& seconds) {
  const std::size_t stride = (seconds.size() + kStepsMax - 1) / kStepsMax;
  std::vector<Step> steps;
  for (std::size_t i = 0; i < seconds.size(); i += stride) {
    Step step{.second = static_cast<double>(seconds[i].second)};
    double length = 0;
    for (std::size_t k = i; k < std::min(i + stride, seconds.size()); ++k) {
      const SecondRow& row = seconds[k];
      length += row.length_seconds;
      step.p50 = std::max(step.p50, Milliseconds(row.p50));
      step.p99 = std::max(step.p99, Milliseconds(row.p99));
      step.p999 = std::max(step.p999, Milliseconds(row.p999));
      step.max = std::max(step.max, Milliseconds(row.max));
      step.succeeded += static_cast<double>(row.succeeded);
      step.failed += static_cast<double>(row.failed);
    }
    step.succeeded /= std::max(length, 1e-3);
    step.failed /= std::max(length, 1e-3);
    steps.push_back(step);
  }
  return steps;
}

template <typename Value>
SvgLine Line(const std::vector<Step>& steps, const char* name, const char* style, Value Step::* value) {
  SvgLine line{.name = name, .style = style, .points = {}};
  for (const Step& step : steps) line.points.push_back({.x = step.second, .y = step.*value});
  return line;
}

SvgScale TimeScale(const std::vector<Step>& steps) {
  return SvgScale::Linear(0, std::max(1.0, steps.empty() ? 0 : steps.back().second));
}

// When nobody was answered.
std::vector<SvgPoint> StallBands(const std::vector<Silence>& stalls) {
  std::vector<SvgPoint> bands;
  bands.reserve(stalls.size());
  for (const Silence& stall : stalls) {
    bands.push_back({.x = std::chrono::duration<double>(stall.from).count(),
                     .y = std::chrono::duration<double>(stall.from + stall.length).count()});
  }
  return bands;
}

SvgChart LatencyOverTime(const std::vector<Step>& steps, const std::vector<Silence>& stalls) {
  double low = 1e9;
  double high = 0;
  for (const Step& step : steps) {
    if (step.p50 > 0) low = std::min(low, step.p50);
    high = std::max(high, step.max);
  }
  return {.title = "Latency over time, ms",
          .x_label = "seconds",
          .x = TimeScale(steps),
          .y = SvgScale::Logarithmic(std::min(low, high), high),
          .lines = {Line(steps, "p50", "a", &Step::p50), Line(steps, "p99", "b", &Step::p99),
                    Line(steps, "p99.9", "c", &Step::p999), Line(steps, "max", "d", &Step::max)},
          .bands = StallBands(stalls)};
}

SvgChart ThroughputOverTime(const std::vector<Step>& steps, const std::vector<Silence>& stalls) {
  double high = 1;
  for (const Step& step : steps) high = std::max({high, step.succeeded, step.failed});
  return {.title = "Answers over time, a second",
          .x_label = "seconds",
          .x = TimeScale(steps),
          .y = SvgScale::Linear(0, high),
          .lines = {Line(steps, "succeeded", "a", &Step::succeeded), Line(steps, "failed", "d", &Step::failed)},
          .bands = StallBands(stalls)};
}

// At a share of p the abscissa is 1 / (1 - p); the last step is drawn at the resolution that the count allows.
SvgLine PercentileLine(const LatencyHistogram& times, const char* name, const char* style) {
  SvgLine line{.name = name, .style = style, .points = {}};
  const double finest = std::clamp(static_cast<double>(times.count()), 1.0, kNinesMax);
  double last_x = 0;
  for (const LatencyHistogram::Step& step : times.Steps()) {
    const double x = std::min(finest, 1 / std::max(1 - step.share, 1e-9));
    // Steps that would fall on the same pixels are one.
    if (!line.points.empty() && x < last_x * 1.005 && step.share < 1) continue;
    line.points.push_back({.x = x, .y = Milliseconds(step.value)});
    last_x = x;
  }
  return line;
}

SvgChart LatencyByPercentile(const Measurement& measurement) {
  const LatencyHistogram latency = measurement.Latency();
  const LatencyHistogram service = measurement.Service();
  const double low = Milliseconds(service.count() > 0 ? std::min(service.min(), latency.min()) : latency.min());
  return {.title = "Latency by percentile, ms",
          .x_label = "share of all requests",
          .x = SvgScale::Nines(std::clamp(static_cast<double>(latency.count()), 10.0, kNinesMax)),
          .y = SvgScale::Logarithmic(low, Milliseconds(std::max(latency.max(), service.max()))),
          .lines = {PercentileLine(latency, "from due", "a"), PercentileLine(service, "from sent", "b")}};
}

std::string Head(const BenchFacts& facts, const BenchResult& result) {
  const LatencyHistogram latency = result.measurement.Latency();
  const std::string load = facts.rate > 0 ? fmt::format("{} requests/s", facts.rate) : "as many requests as possible";
  std::string out = fmt::format("<text class=\"headline\" x=\"72\" y=\"30\">{}</text>\n",
                                SvgText(fmt::format("{} to {}", load, facts.target)));
  out += fmt::format(
      "<text x=\"72\" y=\"52\">{}</text>\n",
      SvgText(fmt::format("{}, {} connections, {:.1f} s: {:.0f} succeeded/s, {} failed, p50 {:.3f} ms, p99 {:.3f} ms, "
                          "max {:.3f} ms",
                          facts.mix.Text(), facts.connections, result.measured_seconds, Throughput(result),
                          result.measurement.failed(), Milliseconds(latency.Percentile(50)),
                          Milliseconds(latency.Percentile(99)), Milliseconds(latency.max()))));
  const bool is_about_generator = result.verdict.limit == LoadLimit::kGenerator;
  std::string limit = is_about_generator ? "generator-limited: the generator, not the server, was the limit"
                                         : fmt::format("limit: {}", LimitName(result.verdict.limit));
  if (!result.stalls.empty()) limit += "; " + DescribeStalls(result.stalls);
  out += fmt::format("<text{} x=\"72\" y=\"74\">{}</text>\n", is_about_generator ? " class=\"warning\"" : "",
                     SvgText(limit));
  return out;
}

}  // namespace

std::string RenderBenchSvg(const BenchFacts& facts, const BenchResult& result) {
  const double height = kHeadHeight + 3 * kSvgChartHeight;
  std::string out = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" "
      "width=\"{0}\" height=\"{1}\" role=\"img\">\n<title>muster bench</title>\n",
      kSvgChartWidth, height);
  out += kStyle;
  out += fmt::format("<rect class=\"ground\" width=\"{}\" height=\"{}\"/>\n", kSvgChartWidth, height);
  out += Head(facts, result);
  const std::vector<Step> steps = Steps(result.seconds);
  double top = kHeadHeight;
  for (const SvgChart& chart : {LatencyOverTime(steps, result.stalls), ThroughputOverTime(steps, result.stalls),
                                LatencyByPercentile(result.measurement)}) {
    AppendSvgChart(out, chart, top);
    top += kSvgChartHeight;
  }
  out += "</svg>\n";
  return out;
}

}  // namespace muster
