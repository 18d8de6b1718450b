// muster_sim_centers: runs seeds of the simulation of two centers, and says how to replay the one that fails.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>

#include "centers/centers_simulation.h"

namespace muster::sim {
namespace {

struct CenterArguments {
  std::uint64_t seeds = 10'000;
  std::uint64_t first = 1;
  std::string planted;
};

void PrintFailure(std::uint64_t seed, PlantedInCenters bug, const std::string& planted) {
  const CentersResult again = RunCenters(seed, bug, true);
  for (const std::string& line : again.events) std::printf("  %s\n", line.c_str());
  std::printf(
      "seed %llu: %s\n", static_cast<unsigned long long>(seed),
      again.failure ? again.failure->c_str() : "the failure does not repeat: the run depends on more than its seed");
  std::printf("replay: muster_sim_centers --seed %llu%s%s\n", static_cast<unsigned long long>(seed),
              planted.empty() ? "" : " --planted ", planted.c_str());
}

void PrintSum(const CentersResult& sum, std::uint64_t seeds, double seconds, const std::vector<Duration>& pauses) {
  std::printf(
      "%llu seeds, %llu events, %llu writes acknowledged, %llu failovers, %llu reads, 0 of them stale, in %.1f s",
      static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(sum.events_run),
      static_cast<unsigned long long>(sum.acknowledged), static_cast<unsigned long long>(sum.failovers),
      static_cast<unsigned long long>(sum.reads), seconds);
  if (!pauses.empty()) {
    std::printf(
        "; with a center lost and nothing else, writes were away for %lld ms in the median, %lld at the worst of %zu",
        static_cast<long long>(pauses[pauses.size() / 2].count() / 1000),
        static_cast<long long>(pauses.back().count() / 1000), pauses.size());
  }
  std::printf("; reads:");
  for (const auto& [answer, count] : sum.answers) {
    std::printf(" %s %llu", answer.c_str(), static_cast<unsigned long long>(count));
  }
  std::printf("\n");
}

// Exit code: without a planted bug, 1 when a seed fails; with one, 1 when none does.
int RunSeeds(const CenterArguments& arguments, PlantedInCenters bug) {
  const auto began = std::chrono::steady_clock::now();
  CentersResult sum;
  std::vector<Duration> pauses;
  for (std::uint64_t seed = arguments.first; seed < arguments.first + arguments.seeds; ++seed) {
    const CentersResult result = RunCenters(seed, bug, false);
    if (result.failure) {
      PrintFailure(seed, bug, arguments.planted);
      if (bug == PlantedInCenters::kNone) return 1;
      std::printf("planted bug %s: found after %llu seeds\n", arguments.planted.c_str(),
                  static_cast<unsigned long long>(seed - arguments.first + 1));
      return 0;
    }
    sum.acknowledged += result.acknowledged;
    sum.reads += result.reads;
    sum.failovers += result.failovers;
    sum.events_run += result.events_run;
    if (result.pause) pauses.push_back(*result.pause);
    for (const auto& [answer, count] : result.answers) sum.answers[answer] += count;
  }
  std::ranges::sort(pauses);
  PrintSum(sum, arguments.seeds, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(),
           pauses);
  if (bug == PlantedInCenters::kNone) return 0;
  std::printf("planted bug %s: NOT found\n", arguments.planted.c_str());
  return 1;
}

int CentersMain(int count, char** values) {
  CLI::App app(
      "Simulates two centers of servers, databases and caches, with everything that can go wrong, and checks them.",
      "muster_sim_centers");
  CenterArguments arguments;
  app.add_option("--seeds", arguments.seeds, "How many seeds to run")->capture_default_str();
  app.add_option("--first", arguments.first, "The first seed")->capture_default_str();
  CLI::Option* seed = app.add_option("--seed", arguments.first, "Run this seed alone");
  std::map<std::string, PlantedInCenters> bugs;
  for (const PlantedCenterBug& bug : PlantedCenterBugs()) bugs.emplace(bug.name, bug.bug);
  app.add_option("--planted", arguments.planted, "Plant this bug, and succeed when a seed finds it")
      ->check(CLI::IsMember(&bugs));
  CLI11_PARSE(app, count, values);
  if (seed->count() > 0) arguments.seeds = 1;
  return RunSeeds(arguments, arguments.planted.empty() ? PlantedInCenters::kNone : bugs.at(arguments.planted));
}

}  // namespace
}  // namespace muster::sim

int main(int count, char** values) { return muster::sim::CentersMain(count, values); }
