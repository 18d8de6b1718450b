#include "bench/report.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <iterator>
#include <utility>

#include "domain/json_writer.h"

namespace muster {
namespace {

constexpr std::array<std::pair<const char*, double>, 9> kPercentiles = {{{"p50", 50},
                                                                         {"p75", 75},
                                                                         {"p90", 90},
                                                                         {"p95", 95},
                                                                         {"p99", 99},
                                                                         {"p999", 99.9},
                                                                         {"p9999", 99.99},
                                                                         {"p99999", 99.999},
                                                                         {"max", 100}}};

// Three digits behind the point of what is measured in milliseconds: microseconds.
double Rounded(double value) { return std::round(value * 1000) / 1000; }

void WriteCount(JsonWriter& json, const char* name, std::uint64_t count) {
  json.Key(name).Number(static_cast<std::int64_t>(count));
}

void WriteTimes(JsonWriter& json, const char* name, const LatencyHistogram& times) {
  json.Key(name).BeginObject();
  WriteCount(json, "count", times.count());
  json.Key("min").Double(Rounded(Milliseconds(times.min())));
  json.Key("mean").Double(Rounded(Milliseconds(times.mean())));
  for (const auto& [label, percent] : kPercentiles)
    json.Key(label).Double(Rounded(Milliseconds(times.Percentile(percent))));
  json.EndObject();
}

void WriteFacts(JsonWriter& json, const BenchFacts& facts) {
  json.Key("target").String(facts.target);
  json.Key("protocol").String(facts.protocol);
  json.Key("mode").String(facts.rate > 0 ? "open" : "max");
  if (facts.rate > 0) WriteCount(json, "rate", facts.rate);
  json.Key("warmupSeconds").Double(facts.warm_up_seconds);
  json.Key("durationSeconds").Double(facts.duration_seconds);
  WriteCount(json, "connections", facts.connections);
  WriteCount(json, "pipeline", facts.pipeline);
  WriteCount(json, "threads", facts.threads);
  json.Key("mix").BeginObject();
  for (const LoadVerb verb : kAllVerbs) {
    if (facts.mix.Has(verb)) json.Key(VerbName(verb)).Number(facts.mix.weight(verb));
  }
  json.EndObject();
  json.Key("zipf").Double(facts.zipf_exponent);
  json.Key("seed").Number64(static_cast<std::int64_t>(facts.seed));
  json.Key("population").BeginObject();
  WriteCount(json, "members", facts.members);
  WriteCount(json, "identities", facts.identities);
  json.Key("isSample").Bool(facts.is_sample);
  json.EndObject();
}

void WriteRequests(JsonWriter& json, const BenchResult& result) {
  const Measurement& measurement = result.measurement;
  json.Key("measuredSeconds").Double(Rounded(result.measured_seconds));
  json.Key("interrupted").Bool(result.is_interrupted);
  json.Key("throughput").Double(Rounded(Throughput(result)));
  json.Key("requests").BeginObject();
  WriteCount(json, "sent", measurement.sent);
  WriteCount(json, "succeeded", measurement.succeeded());
  WriteCount(json, "failed", measurement.failed());
  WriteCount(json, "unsent", measurement.unsent);
  WriteCount(json, "unanswered", measurement.unanswered);
  json.EndObject();
  json.Key("errors").BeginObject();
  for (const auto& [name, times] : measurement.failures.names())
    json.Key(name).Number(static_cast<std::int64_t>(times));
  json.EndObject();
}

void WriteVerbs(JsonWriter& json, const BenchFacts& facts, const Measurement& measurement) {
  json.Key("operations").BeginObject();
  for (const LoadVerb verb : kAllVerbs) {
    if (!IsShown(verb, facts, measurement)) continue;
    const Measurement::OfVerb& of = measurement.of(verb);
    json.Key(VerbName(verb)).BeginObject();
    WriteCount(json, "succeeded", of.succeeded);
    WriteCount(json, "failed", of.failed);
    WriteTimes(json, "latencyMs", of.latency);
    WriteTimes(json, "serviceTimeMs", of.service);
    json.EndObject();
  }
  json.EndObject();
}

void WriteGenerator(JsonWriter& json, const BenchResult& result) {
  const Measurement& measurement = result.measurement;
  json.Key("limit").String(LimitName(result.verdict.limit));
  json.Key("limitReason").String(result.verdict.reason);
  json.Key("generatorLimited").Bool(result.verdict.limit == LoadLimit::kGenerator);
  json.Key("generator").BeginObject();
  WriteTimes(json, "ownLagMs", measurement.own_lag);
  WriteTimes(json, "sendDelayMs", measurement.delay);
  json.Key("runningSeconds").Double(Rounded(std::chrono::duration<double>(measurement.usage.running).count()));
  json.Key("waitingSeconds").Double(Rounded(std::chrono::duration<double>(measurement.usage.waiting).count()));
  json.Key("busiestThread").Double(Rounded(measurement.busiest));
  json.EndObject();
}

void WriteStalls(JsonWriter& json, const BenchResult& result) {
  json.Key("stalls").BeginArray();
  for (const Silence& stall : result.stalls) {
    json.BeginObject();
    json.Key("fromSeconds").Double(Rounded(std::chrono::duration<double>(stall.from).count()));
    json.Key("lengthSeconds").Double(Rounded(std::chrono::duration<double>(stall.length).count()));
    json.EndObject();
  }
  json.EndArray();
}

void WriteSeconds(JsonWriter& json, const BenchResult& result) {
  json.Key("seconds").BeginArray();
  for (const SecondRow& row : result.seconds) {
    json.BeginObject();
    json.Key("second").Number(row.second);
    json.Key("lengthSeconds").Double(Rounded(row.length_seconds));
    WriteCount(json, "sent", row.sent);
    WriteCount(json, "succeeded", row.succeeded);
    WriteCount(json, "failed", row.failed);
    json.Key("p50Ms").Double(Rounded(Milliseconds(row.p50)));
    json.Key("p90Ms").Double(Rounded(Milliseconds(row.p90)));
    json.Key("p99Ms").Double(Rounded(Milliseconds(row.p99)));
    json.Key("p999Ms").Double(Rounded(Milliseconds(row.p999)));
    json.Key("maxMs").Double(Rounded(Milliseconds(row.max)));
    json.Key("serviceTimeP99Ms").Double(Rounded(Milliseconds(row.service_p99)));
    json.Key("ownLagP99Ms").Double(Rounded(Milliseconds(row.own_lag_p99)));
    json.Key("busiestThread").Double(Rounded(row.busiest));
    json.Key("generatorLimited").Bool(row.is_generator_limited);
    json.Key("stalledMs").Double(Rounded(Milliseconds(row.stalled)));
    json.EndObject();
  }
  json.EndArray();
}

}  // namespace

bool IsShown(LoadVerb verb, const BenchFacts& facts, const Measurement& measurement) {
  return facts.mix.Has(verb) || measurement.of(verb).succeeded + measurement.of(verb).failed > 0;
}

double Throughput(const BenchResult& result) {
  if (result.measured_seconds <= 0) return 0;
  return static_cast<double>(result.measurement.succeeded()) / result.measured_seconds;
}

std::string RenderBenchJson(const BenchFacts& facts, const BenchResult& result) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  WriteFacts(json, facts);
  WriteRequests(json, result);
  const LatencyHistogram latency = result.measurement.Latency();
  WriteTimes(json, "latencyMs", latency);
  WriteTimes(json, "serviceTimeMs", result.measurement.Service());
  WriteVerbs(json, facts, result.measurement);
  WriteStalls(json, result);
  WriteGenerator(json, result);
  WriteSeconds(json, result);
  json.EndObject();
  out += '\n';
  return out;
}

std::string RenderBenchCsv(const BenchResult& result) {
  std::string out =
      "second,length_s,sent,succeeded,failed,p50_ms,p90_ms,p99_ms,p999_ms,max_ms,service_p99_ms,own_lag_p99_ms,"
      "busiest_thread,generator_limited,stalled_ms\n";
  for (const SecondRow& row : result.seconds) {
    fmt::format_to(std::back_inserter(out),
                   "{},{:.3f},{},{},{},{:.3f},{:.3f},{:.3f},{:.3f},{:.3f},{:.3f},{:.3f},{:.3f},{},{:.3f}\n", row.second,
                   row.length_seconds, row.sent, row.succeeded, row.failed, Milliseconds(row.p50),
                   Milliseconds(row.p90), Milliseconds(row.p99), Milliseconds(row.p999), Milliseconds(row.max),
                   Milliseconds(row.service_p99), Milliseconds(row.own_lag_p99), row.busiest,
                   row.is_generator_limited ? 1 : 0, Milliseconds(row.stalled));
  }
  return out;
}

}  // namespace muster
