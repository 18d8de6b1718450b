#pragma once

#include <cstdint>
#include <string>

#include "bench/bench_run.h"
#include "bench/load_mix.h"

namespace muster {

// What was asked for.
struct BenchFacts {
  std::string target = {};    // "http://127.0.0.1:7400"
  std::string protocol = {};  // "http", "grpc"
  std::uint64_t rate = 0;
  double warm_up_seconds = 0;
  double duration_seconds = 0;
  std::uint32_t connections = 0;  // of all threads
  std::uint32_t pipeline = 1;     // requests under way on each; over gRPC its streams
  std::uint32_t threads = 1;
  LoadMix mix = {};
  double zipf_exponent = 0;
  std::uint64_t seed = 0;
  std::uint64_t members = 0;  // of the population
  std::uint64_t identities = 0;
  bool is_sample = false;
};

// One JSON object; docs/benchmarking.md describes it field by field.
std::string RenderBenchJson(const BenchFacts& facts, const BenchResult& result);

// A heading and a line for each measured second.
std::string RenderBenchCsv(const BenchResult& result);

// Whether a verb has a line: it is in the mix, or was asked for in the place of one that had nothing to do.
bool IsShown(LoadVerb verb, const BenchFacts& facts, const Measurement& measurement);

// Successful answers a second of the measured time.
double Throughput(const BenchResult& result);

}  // namespace muster
