#include <benchmark/benchmark.h>

#include "base/check.h"
#include "traffic/caller_key.h"
#include "traffic/callers.h"
#include "traffic/testing/memory_topology.h"

namespace muster {
namespace {

struct World {
  MemoryTopology topology;
  SystemRandom random;
  Keyring keyring = Keyring::Generate(random);
  SystemClock clock;
  std::unique_ptr<CallerDirectory> callers = MakeCallerDirectory(topology, keyring, clock, random);

  std::string Header(Duration lifetime) {
    static int number = 0;
    auto key = callers->Create({.name = "caller-" + std::to_string(number++),
                                .purpose = "bench",
                                .scopes = {"members.read"},
                                .key_lifetime = lifetime});
    MUSTER_CHECK(key.has_value());
    return "Bearer " + key->text;
  }
};

World& TheWorld() {
  static World world;
  return world;
}

void KnownKey(benchmark::State& state) {
  static const std::string kHeader = TheWorld().Header(Duration::zero());
  for (auto _ : state) benchmark::DoNotOptimize(TheWorld().callers->Authenticate(kHeader));
}
BENCHMARK(KnownKey)->ThreadRange(1, 2);

void KnownKeyThatExpires(benchmark::State& state) {
  static const std::string kHeader = TheWorld().Header(std::chrono::hours(1));
  for (auto _ : state) benchmark::DoNotOptimize(TheWorld().callers->Authenticate(kHeader));
}
BENCHMARK(KnownKeyThatExpires);

void UnknownKey(benchmark::State& state) {
  const std::string header = "Bearer " + MakeCallerKey(TheWorld().random);
  for (auto _ : state) benchmark::DoNotOptimize(TheWorld().callers->Authenticate(header));
}
BENCHMARK(UnknownKey);

}  // namespace
}  // namespace muster
