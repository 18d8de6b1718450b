#include "app/server/freshness_tiers.h"

#include <algorithm>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <utility>

#include "store/mariadb/version_probe.h"
#include "topology/shard_map.h"

namespace muster {
namespace {

// How long a near cache that is told of changes keeps an entry (protocol of the caches).
constexpr Duration kNearBound = std::chrono::seconds(1);

using Held = Result<std::optional<Version>>;

Held AskReads(const RouteTrees& routes, const Clock& clock, MemberId id, Deadline deadline) {
  auto promise = std::make_shared<std::promise<Result<MemberAnswer>>>();
  std::future<Result<MemberAnswer>> future = promise->get_future();
  const bool is_asked = routes.Get(id, {.deadline = deadline},
                                   [promise](Result<MemberAnswer> answer) { promise->set_value(std::move(answer)); });
  if (!is_asked || future.wait_for(deadline.at() - clock.Monotonic()) != std::future_status::ready) {
    return Fail(Reason::kOverloaded, "this server's reads do not answer");
  }
  const Result<MemberAnswer> answer = future.get();
  if (!answer) return std::unexpected(answer.error());
  return std::optional(answer->member ? answer->member->version() : Version(0));
}

FreshnessTier DatabaseTier(const FreshnessSurroundings& around, const std::shared_ptr<mariadb::VersionProbe>& probe,
                           std::uint32_t index, const std::string& group, const DatabaseRecord& record) {
  return {.name = "database " + record.name,
          .center = record.center,
          .bound = around.replica_lag_max,
          .ask = [probe, &watcher = around.watcher, &clock = around.clock, center = around.options.center, group,
                  name = record.name](MemberId id, Deadline deadline) -> Held {
            const auto document = watcher.snapshot();
            const GroupRecord* const now = document->FindGroup(group);
            const DatabaseRecord* const database = now == nullptr ? nullptr : now->Find(name);
            if (database == nullptr) return Fail(Reason::kNotFound, "the topology does not name it any more");
            MUSTER_ASSIGN(const mariadb::Endpoint endpoint, mariadb::Endpoint::Parse(database->AddressFrom(center)));
            MUSTER_ASSIGN(const std::optional<Version> held,
                          probe->Ask(endpoint, id, deadline.at() - clock.Monotonic()));
            return std::optional(held.value_or(Version(0)));
          },
          .concerns = [&watcher = around.watcher,
                       index](MemberId id) { return ShardMap::Of(*watcher.snapshot()).GroupOf(ShardOf(id)) == index; }};
}

}  // namespace

std::vector<FreshnessTier> FreshnessTiers(const FreshnessSurroundings& around) {
  std::vector<FreshnessTier> tiers;
  tiers.reserve(around.options.caches.size() + 1);
  for (const CenterOptions::CacheRow& row : around.options.caches) {
    tiers.push_back({.name = "redis " + row.center,
                     .center = row.center,
                     .bound = Duration(0),
                     .ask = [&caches = around.caches, center = row.center](MemberId id, Deadline deadline) {
                       return caches.Peek(center, id, deadline);
                     }});
  }
  tiers.push_back({.name = "reads",
                   .center = around.options.center,
                   .bound = kNearBound,
                   .ask = [&routes = around.routes, &clock = around.clock](MemberId id, Deadline deadline) {
                     return AskReads(routes, clock, id, deadline);
                   }});
  const auto probe = std::make_shared<mariadb::VersionProbe>(around.control, around.database);
  const auto document = around.watcher.snapshot();
  for (std::uint32_t index = 0; index < document->groups.size(); ++index) {
    const GroupRecord& group = document->groups[index];
    for (const DatabaseRecord& database : group.databases) {
      tiers.push_back(DatabaseTier(around, probe, index, group.name, database));
    }
  }
  return tiers;
}

}  // namespace muster
