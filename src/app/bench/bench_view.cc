#include "app/bench/bench_view.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <utility>
#include <vector>

#include "app/cli/progress.h"
#include "app/output/table.h"

namespace muster {
namespace {

constexpr std::array<double, 6> kColumns = {50, 90, 99, 99.9, 99.99, 100};

std::string Ms(LatencyHistogram::Time time) { return fmt::format("{:.3f}", Milliseconds(time)); }

void AddTimes(Table& table, const std::string& name, std::uint64_t succeeded, std::uint64_t failed,
              const LatencyHistogram& times) {
  std::vector<std::string> cells = {name, WithThousands(succeeded), WithThousands(failed)};
  for (const double percent : kColumns) cells.push_back(Ms(times.Percentile(percent)));
  table.AddRow(std::move(cells));
}

std::string Load(const BenchFacts& facts) {
  if (facts.rate == 0) return "as many requests as possible";
  return WithThousands(facts.rate) + " requests/s";
}

std::string Keys(const BenchFacts& facts) {
  if (facts.members == 0) return "none: who is registered is new";
  std::string text = facts.zipf_exponent > 0 ? fmt::format("Zipf {:g}", facts.zipf_exponent) : std::string("uniform");
  text += " over " + WithThousands(facts.members) + (facts.is_sample ? " members, a sample" : " members, all");
  return text;
}

}  // namespace

std::string BenchView::Line(const SecondRow& row) {
  const double rate = row.length_seconds > 0 ? static_cast<double>(row.succeeded) / row.length_seconds : 0;
  std::string line =
      fmt::format("{:>4} s  {}/s  p50 {:.2f}  p99 {:.2f}  max {:.2f} ms  {} failed",
                  row.second < 0 ? row.second : row.second + 1, WithThousands(static_cast<std::uint64_t>(rate)),
                  Milliseconds(row.p50), Milliseconds(row.p99), Milliseconds(row.max), WithThousands(row.failed));
  if (row.second < 0) line += "  warm-up";
  if (row.is_generator_limited) line += "  generator-limited";
  return line;
}

void BenchView::Show(const SecondRow& row) {
  std::string line = Line(row);
  if (!terminal_.is_terminal) {
    std::fputs((line + "\n").c_str(), stderr);
    return;
  }
  if (line.size() >= terminal_.columns) line.resize(terminal_.columns - 1);
  std::fputs(("\r" + line + "\033[K").c_str(), stderr);
  std::fflush(stderr);
  is_drawn_ = true;
}

void BenchView::Finish() {
  if (std::exchange(is_drawn_, false)) std::fputs("\n", stderr);
}

std::string RenderBenchTable(const Terminal& terminal, const BenchFacts& facts, const BenchResult& result) {
  const Measurement& measurement = result.measurement;
  std::string measured = fmt::format("{:.1f} s", result.measured_seconds);
  if (result.is_interrupted) measured += ", interrupted";
  std::vector<std::pair<std::string, std::string>> fields = {
      {"target", facts.target},
      {"load", Load(facts) + fmt::format(", {} connections, {} deep, {} threads", facts.connections, facts.pipeline,
                                         facts.threads)},
      {"mix", facts.mix.Text()},
      {"keys", Keys(facts)},
      {"measured", measured},
      {"throughput", WithThousands(static_cast<std::uint64_t>(Throughput(result))) + " succeeded/s"},
      {"limit", std::string(LimitName(result.verdict.limit)) +
                    (result.verdict.reason.empty() ? "" : ": " + result.verdict.reason)},
      {"generator",
       fmt::format("own lag p99 {} ms, max {} ms; busiest thread {:.0f} %", Ms(measurement.own_lag.Percentile(99)),
                   Ms(measurement.own_lag.max()), measurement.busiest * 100)}};
  const auto behind_limit = fields.end() - 1;
  if (!result.stalls.empty()) fields.insert(behind_limit, {"stalls", DescribeStalls(result.stalls)});
  std::string out = RenderFields(terminal, fields);
  using Align = Table::Align;
  Table table({{"ms from due"},
               {"succeeded", Align::kRight},
               {"failed", Align::kRight},
               {"p50", Align::kRight},
               {"p90", Align::kRight},
               {"p99", Align::kRight},
               {"p99.9", Align::kRight},
               {"p99.99", Align::kRight},
               {"max", Align::kRight}});
  for (const LoadVerb verb : kAllVerbs) {
    const Measurement::OfVerb& of = measurement.of(verb);
    if (IsShown(verb, facts, measurement))
      AddTimes(table, std::string(VerbName(verb)), of.succeeded, of.failed, of.latency);
  }
  AddTimes(table, "all", measurement.succeeded(), measurement.failed(), measurement.Latency());
  AddTimes(table, "all, from sent", measurement.succeeded(), measurement.failed(), measurement.Service());
  out += "\n" + table.Render(terminal);
  if (measurement.failures.names().empty()) return out;
  Table failures({{"failed with"}, {"requests", Align::kRight}});
  for (const auto& [name, times] : measurement.failures.names()) failures.AddRow({name, WithThousands(times)});
  return out + "\n" + failures.Render(terminal);
}

}  // namespace muster
