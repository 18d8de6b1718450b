#include "store/mariadb/topology_placement.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace muster::mariadb {
namespace {

// Where a process in `center` finds the server. A topology may hold what is none: then nobody can connect there.
std::optional<Endpoint> EndpointFor(const DatabaseRecord& database, std::string_view center) {
  auto endpoint = Endpoint::Parse(database.AddressFrom(center));
  return endpoint ? std::optional(*std::move(endpoint)) : std::nullopt;
}

GroupPlacement PlacementOf(const TopologyDocument& document, Instant document_at, const GroupRecord& group,
                           std::string_view center, const failover::ReplicaLag::Times& has_all_before) {
  GroupPlacement placement{.name = group.name,
                           .primary = std::nullopt,
                           .sole_until = failover::SoleUntil(document, document_at),
                           .copies = {}};
  const bool moves = document.failover.has_value() || (!document.centers.empty() && document.writer.empty());
  for (const DatabaseRecord& database : group.databases) {
    std::optional<Endpoint> endpoint = EndpointFor(database, center);
    if (!endpoint) continue;
    const bool is_primary = database.name == group.primary;
    if (is_primary && !moves) placement.primary = endpoint;
    if ((!document.centers.empty() && database.center != center) || database.is_being_rebuilt()) continue;
    GroupPlacement::Copy copy{.endpoint = *std::move(endpoint)};
    if (is_primary) {
      // The last one, while it moves, has what was acknowledged before anybody else may write: the next one writes only
      // under a later topology than this.
      copy.has_all_before = moves ? document_at : placement.sole_until;
      copy.is_durable = !moves;
    } else {
      const auto known = has_all_before.find(database.name);
      if (known != has_all_before.end()) copy.has_all_before = known->second;
      copy.is_durable = group.FindAcker(database.name) != nullptr;
      // What it holds, and may have to give back, is not even known to be of this history.
      if (!copy.is_durable && copy.has_all_before == Instant::min()) continue;
    }
    placement.copies.push_back(std::move(copy));
  }
  std::ranges::sort(placement.copies, [](const GroupPlacement::Copy& one, const GroupPlacement::Copy& other) {
    if (one.is_durable != other.is_durable) return one.is_durable;
    if (one.has_all_before != other.has_all_before) return one.has_all_before > other.has_all_before;
    return one.endpoint.Name() < other.endpoint.Name();
  });
  return placement;
}

}  // namespace

std::vector<GroupPlacement> PlacementOf(const TopologyDocument& document, Instant document_at, std::string_view center,
                                        const failover::ReplicaLag::Times& has_all_before) {
  std::vector<GroupPlacement> placements;
  placements.reserve(document.groups.size());
  for (const GroupRecord& group : document.groups) {
    placements.push_back(PlacementOf(document, document_at, group, center, has_all_before));
  }
  return placements;
}

TopologyPlacement::TopologyPlacement(StatusSource status, std::string center, const Clock& clock)
    : status_(std::move(status)),
      center_(std::move(center)),
      clock_(clock),
      now_(std::make_shared<const Seen>(Seen{.groups = {}, .shards = ShardMap::Of({})})) {
  Look();
}

void TopologyPlacement::Look() {
  const Instant now = clock_.Monotonic();
  if (looked_at_ != Instant::min() && now - looked_at_ < kFreshFor) return;
  looked_at_ = now;
  const failover::FailoverStatus status = status_();
  if (!status.document) return;
  auto seen = std::make_shared<Seen>(
      Seen{.groups = PlacementOf(*status.document, status.document_at, center_, status.has_all_before),
           .shards = ShardMap::Of(*status.document)});
  DistrustCopies(*seen, clock_.Monotonic());
  std::lock_guard lock(mutex_);
  now_ = std::move(seen);
}

void TopologyPlacement::DistrustCopies(Seen& seen, Instant now) {
  const ShardMap& before = now_->shards;  // only whoever looks replaces it
  const bool is_first = before.group_count() == 0;
  for (std::uint32_t group = 0; group < seen.groups.size(); ++group) {
    GroupPlacement& placement = seen.groups[group];
    const ShardSet gained = is_first ? seen.shards.moving() : seen.shards.ShardsOf(group) & ~before.ShardsOf(group);
    if (gained.any()) gained_[placement.name] = now;
    const auto since = gained_.find(placement.name);
    if (since == gained_.end()) continue;
    std::erase_if(placement.copies, [&](GroupPlacement::Copy& copy) {
      if (placement.primary == copy.endpoint || copy.has_all_before >= since->second) return false;
      copy.has_all_before = Instant::min();
      return !copy.is_durable;
    });
  }
}

std::shared_ptr<const TopologyPlacement::Seen> TopologyPlacement::LookAndTake() {
  if (const std::unique_lock looking(looking_, std::try_to_lock); looking) Look();
  std::lock_guard lock(mutex_);
  return now_;
}

std::shared_ptr<const std::vector<GroupPlacement>> TopologyPlacement::Now() {
  auto seen = LookAndTake();
  return {seen, &seen->groups};
}

std::shared_ptr<const ShardMap> TopologyPlacement::Shards() {
  auto seen = LookAndTake();
  return {seen, &seen->shards};
}

}  // namespace muster::mariadb
