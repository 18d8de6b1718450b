#include "topology/failover/testing/planted_fault.h"

#include <algorithm>
#include <memory>

namespace muster::failover {
namespace {

constexpr std::uint64_t kEverything = 1'000'000'000;

void HideOtherAckers(Sight& sight, const GroupRecord& group) {
  for (std::size_t i = 1; i < group.ackers.size(); ++i) {
    if (const auto found = sight.databases.find(group.ackers[i].name); found != sight.databases.end()) {
      found->second.state.applied = found->second.state.received = {};
    }
  }
}

void PretendStopped(Sight& sight, const GroupRecord& group) {
  for (const AckerRecord& acker : group.ackers) {
    if (const auto found = sight.databases.find(acker.name); found != sight.databases.end()) {
      found->second.state.receives = false;
      found->second.state.obeyed = kEverything;
    }
  }
}

void PretendComplete(Sight& sight, const GroupRecord& group) {
  for (const AckerRecord& acker : group.ackers) {
    if (acker.state == AckerState::kLeaving) continue;
    if (const auto found = sight.databases.find(acker.name); found != sight.databases.end()) {
      found->second.state.received = GtidPosition::Of(0, 1, kEverything);
    }
  }
}

void ForgetWhoWasTold(Sight& sight) {
  for (auto& [name, seen] : sight.databases) seen.state.may_have_acknowledged = false;
}

bool IsAway(const Sight& sight, const std::string& database) {
  return sight.FindReached(database, std::chrono::milliseconds(700)) == nullptr;
}

void ForgetAway(Sight& sight) {
  auto document = std::make_shared<TopologyDocument>(*sight.document);
  for (GroupRecord& group : document->groups) {
    if (document->failover) {
      std::erase_if(group.ackers, [&](const AckerRecord& acker) { return IsAway(sight, acker.name); });
      continue;
    }
    for (const AckerRecord& acker : group.ackers) {
      if (const auto found = sight.databases.find(acker.name);
          found != sight.databases.end() && IsAway(sight, group.primary)) {
        found->second.looked_at = sight.now;
      }
    }
  }
  sight.document = std::move(document);
}

}  // namespace

Sight SeenWith(PlantedFault fault, const Sight& sight, const PlantedJournal& journalled) {
  Sight seen = sight;
  if (!sight.document) return seen;
  for (const GroupRecord& group : sight.document->groups) {
    if (fault == PlantedFault::kAnyAcker && sight.document->failover) HideOtherAckers(seen, group);
    if (fault == PlantedFault::kNoStop && sight.document->failover) PretendStopped(seen, group);
    if (fault == PlantedFault::kOutBehind && !sight.document->failover) PretendComplete(seen, group);
  }
  if (fault == PlantedFault::kOneReached) ForgetAway(seen);
  if (fault == PlantedFault::kInForgotten) ForgetWhoWasTold(seen);
  const auto& journal = sight.document->failover;
  if (fault == PlantedFault::kNoJournal && journal && journal->begin_revision == journalled.begin_revision) {
    auto document = std::make_shared<TopologyDocument>(*sight.document);
    document->failover->groups = journalled.groups;
    seen.document = std::move(document);
  }
  return seen;
}

void ChangeTurn(PlantedFault fault, const Sight& sight, PlantedJournal& journalled, ControllerTurn& turn) {
  if (!sight.document) return;
  const TopologyDocument& document = *sight.document;
  const auto edit = [&]() -> TopologyDocument& { return turn.next ? *turn.next : turn.next.emplace(document); };
  if (fault == PlantedFault::kNoWait && document.failover && (!turn.next || turn.next->failover)) {
    edit().failover->leases_ended = true;
  }
  if (fault == PlantedFault::kOutFirst && !document.failover) {
    for (const GroupRecord& group : document.groups) {
      for (const AckerRecord& acker : group.ackers) {
        if (acker.state != AckerState::kLeaving || group.durability == Durability::kDegraded) continue;
        std::erase_if(edit().FindGroup(group.name)->ackers, [&](const auto& each) { return each.name == acker.name; });
      }
    }
  }
  if (fault == PlantedFault::kInLast) {
    for (DatabaseOrder& order : turn.orders) {
      if (order.kind == OrderKind::kFollow) order.acknowledges = Acknowledging::kYes;
    }
  }
  if (fault == PlantedFault::kOneReached && turn.next && turn.next->failover && document.failover) {
    for (GroupRecord& group : turn.next->groups) {
      const GroupRecord& was = *document.FindGroup(group.name);
      if (group.primary == was.primary) group = was;
    }
  }
  if (fault == PlantedFault::kNoJournal && turn.next && turn.next->failover && document.failover) {
    journalled = {.begin_revision = document.failover->begin_revision, .groups = turn.next->failover->groups};
    turn.next->failover->groups = document.failover->groups;
    turn.next->groups = document.groups;
    if (*turn.next == document) turn.next.reset();
  }
}

}  // namespace muster::failover
