// muster_sim: runs seeds of the simulation, and says how to replay the one that fails.

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>

#include "simulation.h"

namespace muster::sim {
namespace {

void PrintFailure(std::uint64_t seed, Planted bug, const std::string& planted) {
  const RunResult again = RunSeed(seed, bug, true);
  for (const std::string& line : again.events) std::printf("  %s\n", line.c_str());
  std::printf(
      "seed %llu: %s\n", static_cast<unsigned long long>(seed),
      again.failure ? again.failure->c_str() : "the failure does not repeat: the run depends on more than its seed");
  std::printf("replay: muster_sim --seed %llu%s%s\n", static_cast<unsigned long long>(seed),
              planted.empty() ? "" : " --planted ", planted.c_str());
}

struct Arguments {
  std::uint64_t seeds = 10'000;
  std::uint64_t first = 1;
  std::string planted;
};

// Exit code: without a planted bug, 1 when a seed fails; with one, 1 when none does.
int RunSeeds(const Arguments& arguments, Planted bug) {
  const auto began = std::chrono::steady_clock::now();
  std::uint64_t commits = 0;
  std::uint64_t replays = 0;
  std::uint64_t events = 0;
  std::map<std::string, std::uint64_t> answers;
  for (std::uint64_t seed = arguments.first; seed < arguments.first + arguments.seeds; ++seed) {
    const RunResult result = RunSeed(seed, bug, false);
    if (result.failure) {
      PrintFailure(seed, bug, arguments.planted);
      if (bug == Planted::kNone) return 1;
      std::printf("planted bug %s: found after %llu seeds\n", arguments.planted.c_str(),
                  static_cast<unsigned long long>(seed - arguments.first + 1));
      return 0;
    }
    commits += result.commits;
    replays += result.replays;
    events += result.events_run;
    for (const auto& [answer, count] : result.answers) answers[answer] += count;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::printf("%llu seeds, %llu events, %llu commits, %llu answers given again, in %.1f s; answers:",
              static_cast<unsigned long long>(arguments.seeds), static_cast<unsigned long long>(events),
              static_cast<unsigned long long>(commits), static_cast<unsigned long long>(replays), seconds);
  for (const auto& [answer, count] : answers) {
    std::printf(" %s %llu", answer.c_str(), static_cast<unsigned long long>(count));
  }
  std::printf("\n");
  if (bug == Planted::kNone) return 0;
  std::printf("planted bug %s: NOT found\n", arguments.planted.c_str());
  return 1;
}

int Main(int count, char** values) {
  CLI::App app("Simulates the directory over several databases, with crashes, delays and lost answers, and checks it.",
               "muster_sim");
  Arguments arguments;
  app.add_option("--seeds", arguments.seeds, "How many seeds to run")->capture_default_str();
  app.add_option("--first", arguments.first, "The first seed")->capture_default_str();
  CLI::Option* seed = app.add_option("--seed", arguments.first, "Run this seed alone");
  std::map<std::string, Planted> bugs;
  for (const PlantedBug& bug : PlantedBugs()) bugs.emplace(bug.name, bug.bug);
  app.add_option("--planted", arguments.planted, "Plant this bug, and succeed when a seed finds it")
      ->check(CLI::IsMember(&bugs));
  CLI11_PARSE(app, count, values);
  if (seed->count() > 0) arguments.seeds = 1;
  return RunSeeds(arguments, arguments.planted.empty() ? Planted::kNone : bugs.at(arguments.planted));
}

}  // namespace
}  // namespace muster::sim

int main(int count, char** values) { return muster::sim::Main(count, values); }
