#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "app/cli/exit_code.h"
#include "app/client/client_flags.h"
#include "bench/bench_run.h"
#include "bench/http_target.h"
#include "bench/report.h"

namespace muster {

// A seed is below it, and above zero.
inline constexpr std::uint64_t kBenchSeedEnd = 1'000'000'000;

// The flags of `muster bench`, as they were given.
struct BenchFlags {
  std::shared_ptr<ClientFlags> client;
  std::uint64_t rate = 0;
  bool is_max = false;
  std::string duration = "30s";
  std::string warm_up = "5s";
  std::string mix = "get=80,resolve=15,update=5";
  std::string protocol = "http";
  std::string grpc_address;       // empty: where the server's is
  std::uint32_t connections = 0;  // 0: 64, or 4 over gRPC
  std::uint32_t pipeline = 0;     // 0: 1
  std::uint32_t streams = 0;      // 0: 16
  std::uint32_t threads = 1;
  double zipf = 0.99;
  std::size_t sample = 100'000;
  std::string population_file;
  std::size_t batch = 100;
  std::uint64_t seed = 0;
  std::string format = "table";
  std::string plot;
};

// What the flags say, checked.
struct BenchPlan {
  BenchRun::Options run;
  BenchFacts facts;
  HttpClientOptions server;
  HttpTarget target;  // of the protocol
};

// kUsage when they do not go together. Reads the client's files, looks the server's host up, and raises this process's
// limit of open files; talks to nobody but, for gRPC without an address, to the server: where does it answer that?
Outcome<BenchPlan> PlanBench(const BenchFlags& flags);

}  // namespace muster
