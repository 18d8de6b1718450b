#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "app/bench/bench_plan.h"
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
#include "bench/bench_run.h"
#include "bench/grpc_channel.h"
#include "bench/grpc_outcome.h"
#include "bench/http_channel.h"
#include "bench/population_sampler.h"
#include "bench/report.h"
#include "bench/svg_plot.h"

namespace muster {
namespace {

constexpr std::uint32_t kBenchConnectionsMax = 20'000;
constexpr auto kBenchLook = std::chrono::milliseconds(100);
constexpr mode_t kPlotMode = 0644;

Outcome<Population> FindPopulation(const BenchFlags& flags, BenchPlan& plan) {
  if (!plan.facts.mix.NeedsMembers()) return Population();
  const SystemClock clock;
  Progress progress("learning whom to ask for", "members", clock);
  const PopulationWish wish{
      .members = flags.sample,
      .with_identities = plan.facts.mix.Has(LoadVerb::kResolve) || plan.facts.mix.Has(LoadVerb::kBatchResolve),
      .progressed = [&](std::uint64_t members) { progress.Report(members, 0); }};
  auto population =
      flags.population_file.empty() ? LearnPopulation(plan.server, wish) : ReadPopulation(flags.population_file, wish);
  progress.Finish();
  if (!population) return population;
  const bool merges = plan.facts.mix.Has(LoadVerb::kMerge) || plan.facts.mix.Has(LoadVerb::kUnmerge);
  const std::size_t needed = CallMaker::MergeableMembersMin(plan.facts.threads);
  if (merges && population->members.size() < needed) {
    return Fails(ExitCode::kNotFound, "merge and unmerge need " + std::to_string(needed) +
                                          " active members, four for each thread; register or import some, or leave "
                                          "them out of --mix");
  }
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
    SocketTransport::Options options{.target = plan.target,
                                     .key = plan.server.key,
                                     .connections = connections,
                                     .depth = plan.facts.pipeline,
                                     .timeout = plan.server.timeout};
    auto transport =
        plan.facts.protocol == "grpc" ? MakeGrpcTransport(std::move(options)) : MakeHttpTransport(std::move(options));
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
    if (signals.WaitFor(kBenchLook)) run.Stop();
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
Outcome<ExitCode> JudgeSuccess(const std::string& target, const BenchResult& result) {
  const Measurement& measurement = result.measurement;
  if (measurement.succeeded() > 0) return ExitCode::kOk;
  if (measurement.failed() == 0 && result.is_interrupted) {
    PrintNote("nothing was measured: it ended before the first answer behind the warm-up");
    return ExitCode::kOk;
  }
  if (measurement.failed() == 0) {
    return Fails(ExitCode::kUnavailable, "nothing that was sent after the warm-up was answered at " + target +
                                             ": start the server there, or name another; if it runs, it stands still, "
                                             "or takes longer than --duration");
  }
  std::string seen;
  bool was_refused = false;
  for (const auto& [name, times] : measurement.failures.names()) {
    seen += (seen.empty() ? "" : ", ") + name + " " + WithThousands(times);
    was_refused = was_refused || name.starts_with('4') || IsGrpcRefusal(name);
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
  return JudgeSuccess(plan.facts.target, *result);
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
      .add_option(
          "--mix", flags.mix,
          "How often get, resolve, update, batchGet, register, batchResolve, search, bind, unbind, merge, unmerge "
          "[get=80,resolve=15,update=5]")
      ->type_name("MIX");
  command.add_option("--protocol", flags.protocol, "What to speak [http]")->check(CLI::IsMember({"http", "grpc"}));
  command.add_option("--grpc", flags.grpc_address, "Where the server answers gRPC, host:port [as the server says]")
      ->type_name("ADDRESS");
  command.add_option("--connections", flags.connections, "Connections of all threads [64, over gRPC 4]")
      ->check(CLI::Range(1U, kBenchConnectionsMax))
      ->type_name("N");
  command.add_option("--pipeline", flags.pipeline, "Requests under way on each connection, over HTTP [1]")
      ->check(CLI::Range(1U, 256U))
      ->type_name("N");
  command.add_option("--streams", flags.streams, "Calls under way on each connection, over gRPC [16]")
      ->check(CLI::Range(1U, 256U))
      ->type_name("N");
  command.add_option("--threads", flags.threads, "Threads that generate [1]")
      ->check(CLI::Range(1U, 64U))
      ->type_name("N");
  command.add_option("--batch", flags.batch, "Members of a batchGet, identities of a batchResolve [100]")
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
      ->check(CLI::Range(std::uint64_t{1}, kBenchSeedEnd))
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
      "platform bench, that stay. bind and unbind put such accounts on members and take them back; merge and unmerge\n"
      "join pairs of members and part them; what is joined or bound at the end stays so. Do not run these against "
      "data\n"
      "that somebody needs. No verb is expected to fail: what does is counted by name.\n"
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
      "  muster bench --max --mix get=1 --connections 16 -o json\n"
      "  muster bench --protocol grpc --rps 5000 --duration 30s");
  command->callback([&context, flags] { context.action = [flags] { return Bench(*flags); }; });
}

}  // namespace muster
