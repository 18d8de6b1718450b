#include "app/bench/bench_plan.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <utility>

#include "app/files.h"
#include "base/option_text.h"
#include "base/random.h"

namespace muster {
namespace {

constexpr std::int64_t kDurationMsMax = 24LL * 3600 * 1000;
constexpr std::int64_t kWarmUpMsMax = 3600LL * 1000;
// What the process needs beside its connections.
constexpr std::uint64_t kOtherDescriptors = 64;

Outcome<BenchTime> TimeOf(const std::string& text, const char* flag, std::int64_t milliseconds_min,
                          std::int64_t milliseconds_max) {
  const auto parsed = ParseMilliseconds(text);
  if (!parsed || *parsed < milliseconds_min || *parsed > milliseconds_max) {
    return Fails(ExitCode::kUsage, std::string(flag) + " is a time between " + ShowMilliseconds(milliseconds_min) +
                                       " and " + ShowMilliseconds(milliseconds_max) + ", as in 30s or 5m");
  }
  return std::chrono::milliseconds(*parsed);
}

// Connections are descriptors.
Outcome<void> RaiseDescriptorLimit(std::uint32_t connections) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max != RLIM_INFINITY && connections + kOtherDescriptors > limit.rlim_max) {
    return Fails(ExitCode::kUsage, "--connections: a process may have " + std::to_string(limit.rlim_max) +
                                       " open files here; raise that (ulimit -n), or take fewer");
  }
  return {};
}

// Said before the load, not after it.
Outcome<void> CheckPlotPlace(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  if (path.empty() || access(directory.c_str(), W_OK | X_OK) == 0) return {};
  return Fails(ExitCode::kFailure, "--plot: nothing can be written into " + directory + ": " + SystemMessage(errno));
}

// What the other protocol would be driven by says nothing of this one.
Outcome<void> CheckProtocolFlags(const BenchFlags& flags, bool is_grpc) {
  if (is_grpc && flags.pipeline > 0) {
    return Fails(ExitCode::kUsage, "--pipeline: that is of HTTP; over gRPC say --streams N");
  }
  if (!is_grpc && flags.streams > 0) {
    return Fails(ExitCode::kUsage, "--streams: that is of gRPC; say --protocol grpc, or --pipeline N");
  }
  if (!is_grpc && !flags.grpc_address.empty()) {
    return Fails(ExitCode::kUsage, "--grpc: that is of gRPC; say --protocol grpc, too");
  }
  return {};
}

std::uint32_t OrDefault(std::uint32_t given, std::uint32_t otherwise) { return given > 0 ? given : otherwise; }

}  // namespace

Outcome<BenchPlan> PlanBench(const BenchFlags& flags) {
  if (flags.is_max == (flags.rate > 0)) {
    return Fails(ExitCode::kUsage,
                 "say how much: --rps N for so many requests a second, or --max for as many as possible");
  }
  // The range of the flag lets a NaN through.
  if (std::isnan(flags.zipf)) return Fails(ExitCode::kUsage, "--zipf: give a number; 0 is uniform");
  const bool is_grpc = flags.protocol == "grpc";
  MUSTER_TRY(CheckProtocolFlags(flags, is_grpc));
  const std::uint32_t connections = flags.connections > 0 ? flags.connections : is_grpc ? 4 : 64;
  if (flags.threads > connections) {
    return Fails(ExitCode::kUsage, "--threads: each thread needs a connection of its own; give more --connections");
  }
  MUSTER_ASSIGN(const BenchTime duration, TimeOf(flags.duration, "--duration", 100, kDurationMsMax));
  MUSTER_ASSIGN(const BenchTime warm_up, TimeOf(flags.warm_up, "--warmup", 0, kWarmUpMsMax));
  const auto mix = ParseLoadMix(flags.mix);
  if (!mix) return Fails(ExitCode::kUsage, "--mix: " + mix.error().message);
  MUSTER_TRY(RaiseDescriptorLimit(connections));
  MUSTER_TRY(CheckPlotPlace(flags.plot));
  BenchPlan plan;
  MUSTER_ASSIGN(plan.server, flags.client->Resolve());
  std::string url = plan.server.base_url;
  if (is_grpc) {
    MUSTER_ASSIGN(url, ResolveGrpcUrl(flags.grpc_address, plan.server));
  }
  auto target = ResolveHttpTarget(url);
  if (!target) return Fails(ExitCode::kUsage, target.error().message);
  plan.target = std::move(*target);
  SystemRandom random;
  const std::uint64_t seed = flags.seed > 0 ? flags.seed : 1 + random.Below(kBenchSeedEnd - 1);
  plan.run = {.rate = flags.rate,
              .warm_up = warm_up,
              .duration = duration,
              .patience = plan.server.timeout,
              .calls = {.mix = *mix, .zipf_exponent = flags.zipf, .batch = flags.batch, .seed = seed}};
  plan.facts = {.target = url,
                .protocol = flags.protocol,
                .rate = flags.rate,
                .warm_up_seconds = std::chrono::duration<double>(warm_up).count(),
                .duration_seconds = std::chrono::duration<double>(duration).count(),
                .connections = connections,
                .pipeline = is_grpc ? OrDefault(flags.streams, 16) : OrDefault(flags.pipeline, 1),
                .threads = flags.threads,
                .mix = *mix,
                .zipf_exponent = flags.zipf,
                .seed = seed};
  return plan;
}

}  // namespace muster
