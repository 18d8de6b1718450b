#include "topology/failover/replica_lag.h"

#include <algorithm>
#include <chrono>
#include <ranges>

namespace muster::failover {
namespace {

// Whether a replica that says that it follows `address` follows this database.
bool IsAt(const DatabaseRecord& database, const std::string& address) {
  return address == database.address || (!address.empty() && address == database.remote_address);
}

}  // namespace

Instant SoleUntil(const TopologyDocument& document, Instant document_at) {
  if (document.centers.empty()) return Instant::max();
  if (document_at == Instant::min()) return Instant::min();
  return document_at + std::chrono::milliseconds(document.lease_ms);
}

void ReplicaLag::NotePrimary(const Sight& sight, const GroupRecord& record, Group& group) {
  const DatabaseSight* const seen = sight.Find(record.primary);
  if (seen == nullptr) return;
  const bool is_primary = seen->state.is_writable && seen->state.following.empty();
  if (!is_primary || seen->looked_at < group.since || seen->looked_at >= SoleUntil(*sight.document, sight.document_at))
    return;
  std::deque<Position>& positions = group.positions;
  if (positions.empty() || positions.back().position != seen->state.applied) {
    positions.push_back({.position = seen->state.applied, .sent = seen->looked_at});
    if (positions.size() > kPositionsMax) positions.pop_front();
  } else {
    // Nothing was written meanwhile: who has it has all until now.
    positions.back().sent = std::max(positions.back().sent, seen->looked_at);
  }
}

void ReplicaLag::NoteCopy(const DatabaseSight& seen, const DatabaseRecord& primary, const std::string& name,
                          const Group& group) {
  const DatabaseState& state = seen.state;
  if (state.following.empty() || state.is_writable || state.fault == ReplicaFault::kDiverged) {
    has_all_before_.erase(name);
    return;
  }
  if (!state.is_connected || !IsAt(primary, state.following)) return;
  for (const Position& each : group.positions | std::views::reverse) {
    if (!state.HasApplied(each.position)) continue;
    const auto [known, is_new] = has_all_before_.try_emplace(name, each.sent);
    if (!is_new) known->second = std::max(known->second, each.sent);
    return;
  }
}

void ReplicaLag::Note(const Sight& sight) {
  if (!sight.document) return;
  const TopologyDocument& document = *sight.document;
  std::erase_if(groups_, [&](const auto& each) { return document.FindGroup(each.first) == nullptr; });
  std::erase_if(has_all_before_, [&](const auto& each) {
    return std::ranges::none_of(document.groups,
                                [&](const GroupRecord& group) { return group.Find(each.first) != nullptr; });
  });
  for (const GroupRecord& record : document.groups) {
    Group& group = groups_[record.name];
    const DatabaseRecord* const primary = record.Find(record.primary);
    if (primary == nullptr) continue;
    if (group.primary != record.primary || group.epoch != document.epoch.value()) {
      group = {.primary = record.primary, .epoch = document.epoch.value(), .since = sight.now};
    }
    // While it moves nobody can say who it is.
    if (!document.failover) NotePrimary(sight, record, group);
    for (const DatabaseRecord& database : record.databases) {
      if (database.name == record.primary || database.is_being_rebuilt()) {
        has_all_before_.erase(database.name);
      } else if (const DatabaseSight* const seen = sight.Find(database.name);
                 seen != nullptr && seen->looked_at != Instant::min()) {
        NoteCopy(*seen, *primary, database.name, group);
      }
    }
  }
}

}  // namespace muster::failover
