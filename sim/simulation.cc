#include "simulation.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "base/check.h"
#include "domain/identity_catalog.h"
#include "process.h"
#include "store/binding.h"
#include "store/sweeper.h"

namespace muster::sim {
namespace {

constexpr std::uint64_t kEventsMax = 200'000;  // of one seed; it never needs a tenth of it

Population Populate(Random& random) {
  Population population;
  const std::uint64_t members = 2 + random.Below(3);
  for (std::uint64_t index = 0; index < members; ++index) {
    population.members.push_back(MemberId(static_cast<std::int64_t>(1 + random.Below(std::uint64_t{1} << 40))));
  }
  const std::uint64_t identities = 1 + random.Below(4);
  for (std::uint64_t index = 0; index < identities; ++index) {
    Identity identity;
    identity.kind = "account";
    identity.platform = "app";
    random.Fill(identity.key.bytes);
    identity.key.bytes[15] = static_cast<std::uint8_t>(index);  // what the trace calls it
    population.identities.push_back(std::move(identity));
  }
  return population;
}

// When everything has come to rest: lets the time pass that a sweeper waits for, walks once with a sweeper nothing
// disturbs, and compares.
void End(Scheduler& scheduler, Databases& databases, Checker& checker) {
  scheduler.After(kOperationRetention * 2, [] {});
  while (scheduler.RunNext()) {
  }
  MemoryShardStore& shards = databases.shards();
  const auto finish = [](auto task) {
    task.Start();
    MUSTER_CHECK(task.done());
    return task.TakeValue();
  };
  for (std::uint32_t database = 0; database < shards.database_count(); ++database) {
    MUSTER_CHECK(finish(SweepMoves(shards, shards, database, MemberId(0), SIZE_MAX)).has_value());
  }
  for (std::uint32_t database = 0; database < shards.database_count(); ++database) {
    IdentityKey after{};
    do {
      const auto progress = finish(SweepLookups(shards, shards, database, after, 2));
      MUSTER_CHECK(progress.has_value());
      after = progress->next;
    } while (after != IdentityKey{});
  }
  checker.CheckEnd(shards);
}

}  // namespace

RunResult RunSeed(std::uint64_t seed, Planted bug, bool with_events) {
  static const IdentityCatalog kCatalog = IdentityCatalog::Default();
  SeededRandom random(Mix64(seed));
  Scheduler scheduler;
  Trace trace(scheduler, with_events);
  const Weather weather = Weather::Draw(random);
  Checker checker(weather.IsCalm());
  const auto count = static_cast<std::uint32_t>(1 + random.Below(4));
  Databases databases(scheduler, random, checker, bug, count);
  Population population = Populate(random);
  Earlier earlier;
  const std::uint64_t process_count = 1 + random.Below(3);
  std::uint64_t requests = 0;
  std::uint32_t clients_busy = 0;
  Stage stage{.around = {scheduler, random, databases, weather, trace, process_count == 1},
              .checker = checker,
              .population = population,
              .earlier = earlier,
              .catalog = kCatalog,
              .requests = requests,
              .clients_busy = clients_busy};

  const std::uint32_t clients = process_count == 1 ? 4 : 2;
  constexpr std::uint32_t kCalls = 40;
  clients_busy = static_cast<std::uint32_t>(process_count) * clients;
  std::vector<std::unique_ptr<Process>> processes;
  for (std::uint64_t number = 1; number <= process_count; ++number) {
    processes.push_back(std::make_unique<Process>(stage, static_cast<std::uint8_t>(number), clients, kCalls));
    processes.back()->Start();
  }

  RunResult result;
  while (!checker.failure() && scheduler.RunNext()) {
    if (++result.events_run > kEventsMax) result.failure = "the simulation does not come to an end";
    if (result.failure) break;
  }
  if (!checker.failure() && !result.failure) {
    if (clients_busy != 0) result.failure = "a call was never answered though its process lives";
    if (!result.failure) End(scheduler, databases, checker);
  }
  if (!result.failure) result.failure = checker.failure();
  result.events = trace.lines();
  result.commits = checker.commits();
  result.replays = checker.replays();
  result.answers = checker.answers();
  return result;
}

}  // namespace muster::sim
