#include <algorithm>
#include <array>
#include <utility>

#include "topology/failover/failover_plan.h"
#include "topology/failover/start_role.h"
#include "topology/failover/testing/failover_world.h"
#include "topology/failover/testing/failover_world_node.h"

// What happens to the simulated installation, and who writes in it and checks it.
namespace muster::failover {
namespace {

using std::chrono::milliseconds;

constexpr Duration kReplicationStep = milliseconds(10);
constexpr Duration kHeartbeatsMissed = std::chrono::seconds(1);
constexpr Duration kCommitPatience = std::chrono::seconds(3);

}  // namespace

void FailoverWorld::KillCenter(const std::string& center) {
  Trace("kill center " + center);
  dead_centers_.insert(center);
  // The leader of etcd may have been there.
  etcd_away_until_ = std::max(etcd_away_until_, clock_.Monotonic() + Between(0, 1000));
  for (const auto& [name, of] : center_of_) {
    if (of == center) databases_.Kill(name);
  }
  for (const auto& [name, node] : nodes_) {
    if (node->center != center) continue;
    node->runs = false;
    ++node->life;
  }
}

void FailoverWorld::FreezeCenter(const std::string& center, bool frozen) {
  Trace((frozen ? "freeze center " : "thaw center ") + center);
  if (frozen) {
    dead_centers_.insert(center);
    etcd_away_until_ = std::max(etcd_away_until_, clock_.Monotonic() + Between(0, 1000));
  } else {
    dead_centers_.erase(center);
  }
  for (const auto& [name, of] : center_of_) {
    if (of == center) databases_[name].is_frozen = frozen && databases_[name].runs;
  }
  for (const auto& [name, node] : nodes_) {
    if (node->center == center) node->is_frozen = frozen;
  }
}

void FailoverWorld::Cut(const std::string& one, const std::string& other, bool cut) {
  Trace((cut ? "cut " : "join ") + one + " and " + other);
  if (cut) {
    cuts_.insert(std::minmax(one, other));
    if (Chance(2)) etcd_away_until_ = std::max(etcd_away_until_, clock_.Monotonic() + Between(0, 1000));
  } else {
    cuts_.erase(std::minmax(one, other));
  }
}

void FailoverWorld::KillDatabase(const std::string& name) {
  Trace("kill " + name);
  deciders_.erase(name);
  databases_.Kill(name);
}

void FailoverWorld::StartDatabase(const std::string& name) {
  if (dead_centers_.contains(center_of_[name]) || databases_[name].runs) return;
  const bool as_replica = StartRoleOf(*topology_, name) == StartRole::kAsReplica;
  Trace("start " + name + (as_replica ? " as a replica" : " as a primary"));
  databases_.Run(name, as_replica ? MemoryDatabases::Start::kAsReplica : MemoryDatabases::Start::kAsPrimary);
}

void FailoverWorld::FreezeDatabase(const std::string& name, bool frozen) {
  Trace((frozen ? "freeze " : "thaw ") + name);
  databases_[name].is_frozen = frozen && databases_[name].runs;
}

void FailoverWorld::HideDatabase(const std::string& name, bool hidden) {
  Trace((hidden ? "hide " : "show ") + name);
  hidden ? void(hidden_.insert(name)) : void(hidden_.erase(name));
}

void FailoverWorld::SlowDatabase(const std::string& name, bool slow) {
  Trace((slow ? "slow " : "quick ") + name);
  slow ? void(slow_.insert(name)) : void(slow_.erase(name));
}

void FailoverWorld::HoldDatabase(const std::string& name, bool held) {
  held ? void(held_.insert(name)) : void(held_.erase(name));
}

void FailoverWorld::CrashNode(const std::string& name) {
  Node& node = *nodes_.at(name);
  if (!node.runs) return;
  Trace("crash " + name);
  ++node.life;
  node.is_frozen = false;
  StartNode(node);
}

void FailoverWorld::PlanSwitchover(const std::string& to) {
  for (const auto& [name, node] : nodes_) {
    if (!node->runs || node->is_frozen || !node->sight.document || node->is_replacing) continue;
    node->sight.now = clock_.Monotonic();
    node->sight.wall = clock_.Now();
    const FailoverRequest request{
        .kind = FailoverKind::kPlanned, .to = to, .by_operator = true, .cause = "an operator asks"};
    const FailoverPlan planned = PlanFailover(node->sight, request, plan_.options);
    Trace("switchover to " + to + " asked of " + name +
          (planned.is_possible() ? "" : ": " + planned.AsError().message));
    if (!planned.is_possible()) continue;
    Replace(*node, BeginFailover(node->sight, planned, request, plan_.options), node->sight.document->revision,
            "switchover to " + to);
    return;
  }
}

void FailoverWorld::Heal() {
  Trace("heal");
  healed_ = true;
  cuts_.clear();
  hidden_.clear();
  slow_.clear();
  held_.clear();
  for (const std::string center : {"east", "west", "witness"}) {
    if (dead_centers_.contains(center)) FreezeCenter(center, false);
  }
  for (const auto& [name, center] : center_of_) {
    databases_[name].is_frozen = false;
    StartDatabase(name);
  }
  for (const auto& [name, node] : nodes_) {
    node->is_frozen = false;
    if (node->runs) continue;
    node->runs = true;
    StartNode(*node);
  }
}

// Something goes wrong, and something else is repaired.
void FailoverWorld::Misfortune() {
  if (!plan_.is_rough || healed_) return;
  After(Between(100, 900), [this] { Misfortune(); });
  const auto any_database = [this] {
    auto chosen = center_of_.begin();
    std::advance(chosen, static_cast<std::ptrdiff_t>(random_.Below(center_of_.size())));
    return chosen->first;
  };
  const auto any_center = [this] { return std::string(Chance(2) ? "east" : "west"); };
  const std::string database = any_database();
  const std::string center = any_center();
  const Duration lasting = Between(50, 2500);
  switch (random_.Below(12)) {
    case 0:
      if (!dead_centers_.empty()) return;
      KillCenter(center);
      return After(lasting, [this, center] {
        dead_centers_.erase(center);
        for (const auto& [name, of] : center_of_) StartDatabase(name);
        for (const auto& [name, node] : nodes_) {
          if (node->runs) continue;
          node->runs = true;
          StartNode(*node);
        }
      });
    case 1:
      if (!dead_centers_.empty()) return;
      FreezeCenter(center, true);
      return After(lasting, [this, center] {
        if (dead_centers_.contains(center)) FreezeCenter(center, false);
      });
    case 2:
    case 3: {
      const std::string other = Chance(2) ? "witness" : center == "east" ? "west" : "east";
      Cut(center, other, true);
      return After(lasting, [this, center, other] { Cut(center, other, false); });
    }
    case 4:
      if (!databases_[database].runs) return;
      KillDatabase(database);
      return After(lasting, [this, database] { StartDatabase(database); });
    case 5:
      FreezeDatabase(database, true);
      return After(lasting, [this, database] {
        if (!dead_centers_.contains(center_of_[database])) FreezeDatabase(database, false);
      });
    case 6:
    case 7:
      HideDatabase(database, true);
      return After(lasting, [this, database] { HideDatabase(database, false); });
    case 8:
      Chance(2) ? SlowDatabase(database, true) : HoldDatabase(database, true);
      return After(lasting, [this, database] {
        SlowDatabase(database, false);
        HoldDatabase(database, false);
      });
    case 9: {
      auto chosen = nodes_.begin();
      std::advance(chosen, static_cast<std::ptrdiff_t>(random_.Below(nodes_.size())));
      return CrashNode(chosen->first);
    }
    case 10: {
      auto chosen = nodes_.begin();
      std::advance(chosen, static_cast<std::ptrdiff_t>(random_.Below(nodes_.size())));
      chosen->second->is_frozen = true;
      return After(lasting, [this, node = chosen->second.get()] {
        if (!dead_centers_.contains(node->center)) node->is_frozen = false;
      });
    }
    default:
      return PlanSwitchover(center);
  }
}

// What an operator does about databases that have diverged.
void FailoverWorld::Operate() {
  After(milliseconds(500), [this] { Operate(); });
  for (const auto& [name, node] : nodes_) {
    if (!node->runs || node->is_frozen || !node->sight.document || node->is_replacing) continue;
    node->sight.now = clock_.Monotonic();
    for (const auto& [database, center] : center_of_) {
      const auto next = AskForRebuild(node->sight, database, plan_.options);
      if (!next || *next == *node->sight.document) continue;
      return Replace(*node, *next, node->sight.document->revision, "a rebuild of " + database + " is asked for");
    }
  }
}

void FailoverWorld::NoteChange(const TopologyDocument& before) {
  if (!before.failover && topology_->failover) {
    ++result_.failovers;
    if (topology_->failover->kind == FailoverKind::kLoss) lost_from_.insert(topology_->failover->from);
    deciders_.clear();
    for (const GroupRecord& group : before.groups) {
      for (const AckerRecord& acker : group.ackers) deciders_.insert(acker.name);
    }
  }
  if (before.failover && !topology_->failover) last_kind_ = before.failover->kind;
}

void FailoverWorld::CheckPromotion(const DatabaseOrder& order) {
  const auto group = std::ranges::find_if(
      topology_->groups, [&](const GroupRecord& each) { return each.Find(order.database) != nullptr; });
  const auto& journal = topology_->failover;
  if (!journal || order.revision < journal->begin_revision) {
    // An order of the last failover, which comes late: to whom that made the primary, or it was undone, and nobody
    // writes there.
    const bool was_undone = !topology_->failovers.empty() && topology_->failovers.back().undone;
    if (group->primary != order.database && !was_undone) {
      Violate("TWO: " + order.database + " is promoted after the failover");
    }
    return;
  }
  std::string& promoted = promoted_[std::to_string(journal->begin_revision) + group->name];
  if (!promoted.empty() && promoted != order.database) {
    return Violate("TWO: " + promoted + " and " + order.database + " of one group are promoted");
  }
  promoted = order.database;
  std::set<std::uint64_t> has;
  for (const auto& entry : databases_[order.database].log) has.insert(entry.value);
  for (const std::uint64_t value : acknowledged_[group->name]) {
    if (!has.contains(value)) {
      return Violate("LOST: write " + std::to_string(value) + " was acknowledged, and " + order.database +
                     ", which is promoted, does not have it");
    }
  }
}

void FailoverWorld::WriteSomething(Node& node) {
  OnNode(node, Between(15, 30), [this, &node] { WriteSomething(node); });
  const auto& document = node.sight.document;
  if (node.is_writing || !document || document->writer != node.center) return;
  const WriterLease lease = node.lease->current();
  if (!lease.Covers(document->epoch, clock_.Monotonic())) return;
  node.is_writing = true;
  const GroupRecord& chosen = document->groups[random_.Below(document->groups.size())];
  Write write{.group = chosen.name,
              .primary = chosen.primary,
              .epoch = document->epoch.value(),
              .give_up_at = clock_.Monotonic() + kCommitPatience};
  After(Latency(), [this, &node, life = node.life, write]() mutable {
    if (node.life != life) return;
    write.value = ++next_value_;
    const bool is_reached = AreLinked(node.center, center_of_[write.primary]);
    write.index = is_reached ? databases_.Write(write.primary, write.value) : 0;
    if (write.index == 0) return OnNode(node, milliseconds(20), [&node] { node.is_writing = false; });
    write.life = databases_[write.primary].life;
    AwaitCommit(node, write);
  });
}

void FailoverWorld::AwaitCommit(Node& node, const Write& write) {
  const MemoryDatabases::Database& database = databases_[write.primary];
  const bool is_lost = database.life != write.life || clock_.Monotonic() > write.give_up_at;
  if (is_lost) return OnNode(node, Duration(0), [&node] { node.is_writing = false; });
  if (database.Answers() && (database.committed >= write.index || databases_.never_waits)) {
    return OnNode(node, LatencyTo(node), [this, &node, write] {
      node.is_writing = false;
      const bool has_lease = node.lease->current().Covers(Epoch(write.epoch), clock_.Monotonic());
      if (has_lease || plan_.planted == PlantedFault::kNoCheckAfter) {
        Acknowledge(node, write.group, write.value, write.epoch);
      }
    });
  }
  OnNode(node, milliseconds(5), [this, &node, write] { AwaitCommit(node, write); });
}

void FailoverWorld::Acknowledge(Node& node, const std::string& group, std::uint64_t value, std::int64_t epoch) {
  ++result_.acknowledged;
  result_.longest_pause = std::max(result_.longest_pause, clock_.Monotonic() - last_acknowledged_);
  last_acknowledged_ = clock_.Monotonic();
  acknowledged_[group].push_back(value);
  if (topology_->writer.empty() || topology_->epoch.value() <= epoch || topology_->writer == node.center) return;
  // Another center writes. What was planned has all that was committed before, so that an answer may be late.
  const auto& log = databases_[topology_->FindGroup(group)->primary].log;
  const bool has_it = std::ranges::count(log, value, &MemoryDatabases::Entry::value) > 0;
  if (last_kind_ == FailoverKind::kLoss || !has_it) {
    Violate("TWO: " + node.name + " acknowledges under epoch " + std::to_string(epoch) + " while " + topology_->writer +
            " writes under a later one");
  }
}

void FailoverWorld::Replicate(const std::string& name) {
  After(slow_.contains(name) ? Between(100, 400) : kReplicationStep, [this, name] { Replicate(name); });
  MemoryDatabases::Database& replica = databases_[name];
  const std::string& source_name = replica.following;
  const bool is_linked = !source_name.empty() && AreLinked(center_of_[name], center_of_[source_name]);
  // A server that ended is missed at once, one that stands still, or is cut off, when its heartbeats are.
  if (is_linked && databases_[source_name].Answers()) {
    heard_of_source_[name] = clock_.Monotonic();
  } else if (source_name.empty() || (is_linked && !databases_[source_name].runs) ||
             clock_.Monotonic() - heard_of_source_[name] > kHeartbeatsMissed) {
    replica.is_connected = false;
  }
  if (is_linked) {
    const ReplicaFault before = replica.fault;
    const std::size_t steps = 1 + random_.Below(3);
    std::size_t acknowledged = 0;
    for (std::size_t i = 0; i < steps; ++i) acknowledged = std::max(acknowledged, databases_.Receive(name));
    if (acknowledged > 0) {
      After(Latency(), [this, name, source = replica.following, connection = replica.connection, acknowledged] {
        if (AreLinked(center_of_[name], center_of_[source])) {
          databases_.Acknowledge(source, name, connection, acknowledged);
        }
      });
    }
    if (replica.fault != before) {
      Trace(name + " has diverged from " + replica.following);
      const bool may_have = lost_from_.contains(center_of_[name]) || !deciders_.contains(name);
      if (!may_have)
        Violate("DIVERGED: " + name + " decided the failover and holds what " + replica.following + " lacks");
    }
  }
  for (std::size_t i = 0; i < 3 && !held_.contains(name); ++i) databases_.Apply(name);
}

void FailoverWorld::CheckEnd() {
  const TopologyDocument& document = *topology_;
  result_.longest_pause = std::max(result_.longest_pause, clock_.Monotonic() - last_acknowledged_);
  for (const GroupRecord& group : document.groups) {
    const MemoryDatabases::Database& primary = databases_[group.primary];
    std::set<std::uint64_t> has;
    for (const auto& entry : primary.log) has.insert(entry.value);
    for (const std::uint64_t value : acknowledged_[group.name]) {
      if (!has.contains(value)) return Violate("LOST: write " + std::to_string(value) + " is not in " + group.primary);
    }
    for (const DatabaseRecord& record : group.databases) {
      const MemoryDatabases::Database& replica = databases_[record.name];
      if (replica.following != group.primary || replica.fault != ReplicaFault::kNone) continue;
      const std::size_t common = std::min(replica.log.size(), primary.log.size());
      if (!std::equal(replica.log.begin(), replica.log.begin() + static_cast<std::ptrdiff_t>(common),
                      primary.log.begin())) {
        return Violate("DIVERGED: " + record.name + " follows " + group.primary + " and holds something else");
      }
    }
    if (plan_.planted == PlantedFault::kNone && group.durability != Durability::kBothCenters) {
      return Violate("AWAY: group " + group.name + " is still degraded");
    }
  }
  if (document.failover) return Violate("AWAY: a failover is still under way");
  if (clock_.Monotonic() - last_acknowledged_ > std::chrono::seconds(1)) {
    Violate("AWAY: nothing is acknowledged though everything works");
  }
}

}  // namespace muster::failover
