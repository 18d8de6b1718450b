#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "app/bench/bench_view.h"
#include "app/bench/learn_population.h"
#include "app/cli/messages.h"
#include "app/cli/progress.h"
#include "app/client/client_flags.h"
#include "app/commands/commands.h"
#include "app/files.h"
#include "app/output/json_text.h"
#include "app/server/process.h"
#include "base/clock.h"
#include "base/option_text.h"
#include "base/random.h"
#include "bench/bench_run.h"
#include "bench/http_transport.h"
#include "bench/population_sampler.h"
#include "bench/report.h"
#include "bench/svg_plot.h"

namespace muster {
namespace {

constexpr std::int64_t kDurationMsMax = 24LL * 3600 * 1000;
constexpr std::int64_t kWarmUpMsMax = 3600LL * 1000;
constexpr std::uint32_t kConnectionsMax = 20'000;
// What the process needs beside its connections.
constexpr std::uint64_t kOtherDescriptors = 64;
constexpr std::uint64_t kSeedEnd = 1'000'000'000;
constexpr auto kLook = std::chrono::milliseconds(100);
constexpr mode_t kPlotMode = 0644;

struct BenchFlags {
  std::shared_ptr<ClientFlags> client;
  std::uint64_t rate = 0;
  bool is_max = false;
  std::string duration = "30s";
  std::string warm_up = "5s";
  std::string mix = "get=80,resolve=15,update=5";
  std::uint32_t connections = 64;
  std::uint32_t pipeline = 1;
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
  HttpTarget target;
};

Outcome<BenchTime> BenchTimeOf(const std::string& text, const char* flag, std::int64_t milliseconds_min,
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

Outcome<BenchPlan> PlanBench(const BenchFlags& flags) {
  if (flags.is_max == (flags.rate > 0)) {
    return Fails(ExitCode::kUsage,
                 "say how much: --rps N for so many requests a second, or --max for as many as possible");
  }
  if (flags.threads > flags.connections) {
    return Fails(ExitCode::kUsage, "--threads: each thread needs a connection of its own; give more --connections");
  }
  MUSTER_ASSIGN(const BenchTime duration, BenchTimeOf(flags.duration, "--duration", 100, kDurationMsMax));
  MUSTER_ASSIGN(const BenchTime warm_up, BenchTimeOf(flags.warm_up, "--warmup", 0, kWarmUpMsMax));
  const auto mix = ParseLoadMix(flags.mix);
  if (!mix) return Fails(ExitCode::kUsage, "--mix: " + mix.error().message);
  MUSTER_TRY(RaiseDescriptorLimit(flags.connections));
  MUSTER_TRY(CheckPlotPlace(flags.plot));
  BenchPlan plan;
  MUSTER_ASSIGN(plan.server, flags.client->Resolve());
  auto target = ResolveHttpTarget(plan.server.base_url);
  if (!target) return Fails(ExitCode::kUsage, target.error().message);
  plan.target = std::move(*target);
  SystemRandom random;
  const std::uint64_t seed = flags.seed > 0 ? flags.seed : 1 + random.Below(kSeedEnd - 1);
  plan.run = {.rate = flags.rate,
              .warm_up = warm_up,
              .duration = duration,
              .patience = plan.server.timeout,
              .calls = {.mix = *mix, .zipf_exponent = flags.zipf, .batch = flags.batch, .seed = seed}};
  plan.facts = {.target = plan.server.base_url,
                .protocol = "http",
                .rate = flags.rate,
                .warm_up_seconds = std::chrono::duration<double>(warm_up).count(),
                .duration_seconds = std::chrono::duration<double>(duration).count(),
                .connections = flags.connections,
                .pipeline = flags.pipeline,
                .threads = flags.threads,
                .mix = *mix,
                .zipf_exponent = flags.zipf,
                .seed = seed};
  return plan;
}

Outcome<Population> FindPopulation(const BenchFlags& flags, BenchPlan& plan) {
  const SystemClock clock;
  Progress progress("learning whom to ask for", "members", clock);
  const PopulationWish wish{.members = flags.sample,
                            .with_identities = plan.facts.mix.Has(LoadVerb::kResolve),
                            .progressed = [&](std::uint64_t members) { progress.Report(members, 0); }};
  auto population =
      flags.population_file.empty() ? LearnPopulation(plan.server, wish) : ReadPopulation(flags.population_file, wish);
  progress.Finish();
  if (!population) return population;
  plan.facts.members = population->members.size();
  plan.facts.identities = population->identities.size();
  plan.facts.is_sample = population->is_sample;
  return population;
}

Outcome<std::vector<std::unique_ptr<LoadTransport>>> MakeTransports(const BenchPlan& plan) {
  std::vector<std::unique_ptr<LoadTransport>> transports;
  const std::uint32_t threads = plan.facts.threads;
  for (std::uint32_t i = 0; i < threads; ++i) {
    const std::uint32_t connections = plan.facts.connections / threads + (i < plan.facts.connections % threads ? 1 : 0);
    auto transport = HttpTransport::Make({.target = plan.target,
                                          .key = plan.server.key,
                                          .connections = connections,
                                          .pipeline = plan.facts.pipeline,
                                          .timeout = plan.server.timeout});
    if (!transport) return Fails(transport.error());
    transports.push_back(std::move(*transport));
  }
  return transports;
}

BenchResult WatchBench(BenchRun& run, TerminationSignals& signals) {
  BenchView view;
  const auto show = [&] {
    for (const SecondRow& row : run.TakeSeconds()) view.Show(row);
  };
  while (!run.is_finished()) {
    if (signals.WaitFor(kLook)) run.Stop();
    show();
  }
  BenchResult result = run.Finish();
  show();
  return result;
}

Outcome<void> PrintBench(const BenchFlags& flags, const BenchFacts& facts, const BenchResult& result) {
  if (flags.format == "csv") {
    PrintData(RenderBenchCsv(result));
  } else if (flags.format == "json") {
    MUSTER_ASSIGN(const std::string json, IndentJson(RenderBenchJson(facts, result)));
    PrintData(json);
  } else {
    PrintData(RenderBenchTable(DescribeTerminal(STDOUT_FILENO), facts, result));
  }
  if (!flags.plot.empty()) MUSTER_TRY(WriteFileDurably(flags.plot, RenderBenchSvg(facts, result), kPlotMode));
  if (result.verdict.limit == LoadLimit::kGenerator) PrintNote("generator-limited: " + result.verdict.reason);
  return {};
}

// Nothing that was measured is about a server that works.
Outcome<ExitCode> JudgeSuccess(const BenchResult& result) {
  const Measurement& measurement = result.measurement;
  if (measurement.succeeded() > 0) return ExitCode::kOk;
  if (measurement.failed() == 0) {
    PrintNote("nothing was measured: it ended before the first answer behind the warm-up");
    return ExitCode::kOk;
  }
  std::string seen;
  bool was_refused = false;
  for (const auto& [name, times] : measurement.failures.names()) {
    seen += (seen.empty() ? "" : ", ") + name + " " + WithThousands(times);
    was_refused = was_refused || name.starts_with('4');
  }
  return Fails(was_refused ? ExitCode::kRefused : ExitCode::kUnavailable, "not one request succeeded: " + seen);
}

Outcome<ExitCode> Bench(const BenchFlags& flags) {
  MUSTER_ASSIGN(BenchPlan plan, PlanBench(flags));
  std::optional<BenchResult> result;
  {
    // Identities in clear are kept as long as they are asked for.
    MUSTER_ASSIGN(const Population population, FindPopulation(flags, plan));
    TerminationSignals signals;
    MUSTER_ASSIGN(auto transports, MakeTransports(plan));
    BenchRun run(plan.run, population, std::move(transports));
    run.Start();
    result = WatchBench(run, signals);
  }
  MUSTER_TRY(PrintBench(flags, plan.facts, *result));
  return JudgeSuccess(*result);
}

void AddLoadFlags(CLI::App& command, BenchFlags& flags) {
  command.add_option("--rps", flags.rate, "Requests a second, at a constant rate whatever the server does")
      ->check(CLI::Range(std::uint64_t{1}, LoadSchedule::kRateMax))
      ->type_name("N");
  command.add_flag("--max", flags.is_max, "As many as possible: each connection sends when it has been answered");
  command.add_option("--duration", flags.duration, "How long to measure [30s]")->type_name("TIME");
  command.add_option("--warmup", flags.warm_up, "How long to send before that, without measuring [5s]")
      ->type_name("TIME");
  command
      .add_option("--mix", flags.mix, "How often get, resolve, update, batchGet, register [get=80,resolve=15,update=5]")
      ->type_name("MIX");
  command.add_option("--connections", flags.connections, "Connections of all threads [64]")
      ->check(CLI::Range(1U, kConnectionsMax))
      ->type_name("N");
  command.add_option("--pipeline", flags.pipeline, "Requests under way on each connection [1]")
      ->check(CLI::Range(1U, 256U))
      ->type_name("N");
  command.add_option("--threads", flags.threads, "Threads that generate [1]")
      ->check(CLI::Range(1U, 64U))
      ->type_name("N");
  command.add_option("--batch", flags.batch, "Members of a batchGet [100]")
      ->check(CLI::Range(std::size_t{1}, CallMaker::kBatchMax))
      ->type_name("N");
}

void AddKeyFlags(CLI::App& command, BenchFlags& flags) {
  command.add_option("--zipf", flags.zipf, "Exponent of Zipf's law by which members are chosen; 0 is uniform [0.99]")
      ->check(CLI::Range(0.0, Zipf::kExponentMax))
      ->type_name("NUMBER")
      ->group("Members");
  command.add_option("--sample", flags.sample, "How many members to choose from, at most [100000]")
      ->check(CLI::Range(std::size_t{1}, PopulationSampler::kWantedMax))
      ->type_name("N")
      ->group("Members");
  command.add_option("--population", flags.population_file, "Take them from a file that `muster export` wrote")
      ->type_name("FILE")
      ->group("Members");
  command.add_option("--seed", flags.seed, "Draw the same requests as another run with this seed")
      ->check(CLI::Range(std::uint64_t{1}, kSeedEnd))
      ->type_name("N")
      ->group("Members");
}

}  // namespace

void AddBenchCommand(CLI::App& root, CommandContext& context) {
  CLI::App* command = root.add_subcommand("bench", "Put a server under load, and measure how long its callers wait");
  command->group(kOperateGroup);
  auto flags = std::make_shared<BenchFlags>();
  AddLoadFlags(*command, *flags);
  command->add_option("-o,--output", flags->format, "How to print [table]; csv has a line a second")
      ->check(CLI::IsMember({"table", "json", "csv"}));
  command->add_option("--plot", flags->plot, "Draw latency and throughput into this SVG file")->type_name("FILE");
  AddKeyFlags(*command, *flags);
  flags->client = AddClientFlags(*command, "10s");
  command->footer(
      "Updates write: they set the city of members to one of a few. register adds members, with an account on the\n"
      "platform bench, that stay. Do not run either against data that somebody needs.\n"
      "With --rps a request is due at its time whether or not the server keeps up, and its latency counts from there:\n"
      "a server that stands still for a second is seen by every request of that second. \"from sent\" is what a\n"
      "generator that waits for the server would have called latency.\n"
      "generator-limited: the generator, not the server, was the limit, and what was measured is about it.\n"
      "SIGINT ends it and prints what has been measured so far. Whom to ask for is learned from the admin port, with\n"
      "the scopes members.import and personal.read.\n"
      "Exit 0: measured, whatever failed; 4: not one request succeeded; 5: the same, and some were refused (4xx);\n"
      "6: nobody to ask for.\n"
      "Examples:\n"
      "  muster bench --rps 5000 --duration 30s --plot latency.svg\n"
      "  muster bench --max --mix get=1 --connections 16 -o json");
  command->callback([&context, flags] { context.action = [flags] { return Bench(*flags); }; });
}

}  // namespace muster
