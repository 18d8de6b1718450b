#include "centers/replicated_group.h"

#include <algorithm>
#include <span>
#include <utility>

#include "topology/failover/start_role.h"

namespace muster::sim {
namespace {

using failover::MemoryDatabases;
using failover::OrderKind;

constexpr Duration kStepWithWork = std::chrono::milliseconds(3);
constexpr Duration kStepAtRest = std::chrono::milliseconds(60);
constexpr Duration kHeartbeatsAreMissed = std::chrono::seconds(1);

}  // namespace

ReplicatedGroup::ReplicatedGroup(CenterWorld& world, TopologyTwin& topology, CenterChecker& checker,
                                 const GroupCommit& first)
    : world_(world), topology_(topology), checker_(checker), commits_(1) {
  commits_.push_back(first);
  checker_.Begun(1, first, {});
  const GroupRecord& group = topology.document()->groups[0];
  std::uint32_t primary_server = 0;
  for (const DatabaseRecord& record : group.databases) {
    MemoryDatabases::Database& database = databases_.Add(record.name);
    names_.push_back(record.name);
    places_[record.name] = record.center == "east" ? Place::kEast : Place::kWest;
    nodes_[record.name];
    if (record.name == group.primary) {
      database.is_writable = database.waits = true;
      primary_server = database.server;
    } else {
      database.following = group.primary;
      database.address = group.Find(group.primary)->AddressFrom(record.center);
      database.receives = database.is_connected = database.applies = true;
      database.acknowledges = database.told_to_acknowledge = group.FindAcker(record.name) != nullptr;
    }
    database.obeyed = 1;
  }
  for (const std::string& name : names_) {
    databases_[name].log.push_back({.server = primary_server, .value = 1});
    databases_[name].applied = databases_[name].committed = 1;
    world_.scheduler.After(world_.Between(0, 10), [this, name] { Replicate(name); });
  }
  databases_.never_waits = world.IsPlanted(PlantedInCenters::kNoAcknowledgement);
  databases_.keeps_all_at_start = world.IsPlanted(PlantedInCenters::kKeptAllAtStart);
}

bool ReplicatedGroup::Reaches(Place from, const std::string& name) const {
  return world_.AreLinked(from, places_.at(name)) && !nodes_.at(name).is_hidden && databases_.Get(name).Answers();
}

const GroupRows& ReplicatedGroup::Visible(const std::string& name) {
  Node& node = nodes_.at(name);
  const MemoryDatabases::Database& database = databases_.Get(name);
  const bool sees_all = databases_.never_waits && database.following.empty();
  const std::size_t visible =
      sees_all ? database.log.size() : (database.following.empty() ? database.committed : database.applied);
  const bool goes_on = node.count <= visible && (node.count == 0 || database.log[node.count - 1].value == node.last);
  if (!goes_on) {
    node.rows = {};
    node.count = 0;
  }
  if (node.count == visible) return node.rows;
  for (; node.count < visible; ++node.count) node.rows.Apply(commits_[database.log[node.count].value]);
  node.last = database.log[visible - 1].value;
  checker_.CheckRows(name, node.rows);
  return node.rows;
}

bool ReplicatedGroup::IsLocked(const std::string& name, const std::vector<RowLock>& locks, bool raises_fence) const {
  const MemoryDatabases::Database& database = databases_.Get(name);
  if (databases_.never_waits) return false;
  for (std::size_t i = database.committed; i < database.log.size(); ++i) {
    const GroupCommit& waiting = commits_[database.log[i].value];
    if (raises_fence || waiting.fence) return true;
    const bool meets =
        std::ranges::any_of(locks, [&](const RowLock& lock) { return std::ranges::count(waiting.locks, lock) > 0; });
    if (meets) return true;
  }
  return false;
}

std::uint64_t ReplicatedGroup::Begin(const std::string& name, GroupCommit commit) {
  const std::uint64_t value = commits_.size();
  const std::size_t index = databases_.Write(name, value);
  if (index == 0) return 0;
  checker_.Begun(value, commit, std::span(databases_[name].log).first(index - 1));
  commits_.push_back(std::move(commit));
  for (const std::string& replica : names_) {
    if (databases_[replica].following != name || nodes_.at(replica).is_slow) continue;
    world_.scheduler.After(world_.Between(1, 4), [this, replica] { ReceiveSome(replica); });
  }
  return value;
}

void ReplicatedGroup::AwaitCommit(const std::string& name, std::uint64_t value,
                                  std::move_only_function<void(bool)> done) {
  const MemoryDatabases::Database& database = databases_[name];
  const auto at = std::ranges::find(database.log, value, &MemoryDatabases::Entry::value);
  nodes_.at(name).waiters.push_back({.index = static_cast<std::size_t>(at - database.log.begin()) + 1,
                                     .life = database.life,
                                     .done = std::move(done)});
  Settle(name);
}

// Whoever waits for a commit hears that it is done, or that its server has ended.
void ReplicatedGroup::Settle(const std::string& name) {
  Node& node = nodes_.at(name);
  if (node.waiters.empty()) return;
  const MemoryDatabases::Database& database = databases_.Get(name);
  std::vector<std::pair<std::move_only_function<void(bool)>, bool>> ended;
  std::erase_if(node.waiters, [&](Waiter& waiter) {
    const bool has_ended = database.life != waiter.life;
    const bool is_done = database.Answers() && (database.committed >= waiter.index || databases_.never_waits);
    if (!has_ended && !is_done) return false;
    ended.emplace_back(std::move(waiter.done), !has_ended);
    return true;
  });
  for (auto& [done, is_committed] : ended) done(is_committed);
}

void ReplicatedGroup::SettleAll() {
  for (const std::string& name : names_) Settle(name);
}

Result<void> ReplicatedGroup::Execute(const failover::DatabaseOrder& order) {
  Result<void> done;
  switch (order.kind) {
    case OrderKind::kStopReceiving:
      done = databases_.StopReceiving(order.database, order.revision);
      break;
    case OrderKind::kFollow:
      done = databases_.Follow(order.database, order.revision, order.source, order.acknowledges);
      break;
    case OrderKind::kGovern:
      done = databases_.Govern(order.database, order.revision, order.primary);
      break;
    case OrderKind::kPromote:
      done = databases_.Promote(order.database, order.revision, order.waits);
      if (done)
        checker_.Promoted(order.database, order.revision, *topology_.document(), databases_.Get(order.database).log);
      break;
    case OrderKind::kRebuild:
      if (auto rebuilt = databases_.Rebuild(order.database, order.revision, order.source); !rebuilt) {
        done = std::unexpected(std::move(rebuilt).error());
      }
      break;
  }
  SettleAll();
  return done;
}

void ReplicatedGroup::Mend() {
  const TopologyDocument& document = *topology_.document();
  if (document.failover) return;
  const GroupRecord& group = document.groups[0];
  for (const DatabaseRecord& record : group.databases) {
    const MemoryDatabases::Database& database = databases_[record.name];
    if (record.name == group.primary) continue;
    // An old primary whose commits wait for ever is ended, or rebuilt as well.
    const bool is_stuck = database.Answers() && database.is_writable && database.committed < database.log.size();
    const bool is_ended = is_stuck && world_.Chance(2);
    if (is_ended) {
      Kill(record.name);
      Start(record.name);
    }
    const bool has_fault = database.fault != failover::ReplicaFault::kNone;
    if (group.FindAcker(record.name) != nullptr || !(has_fault || (is_stuck && !is_ended))) continue;
    const failover::ReplicationSource source{.name = group.primary,
                                             .address = group.Find(group.primary)->AddressFrom(record.center)};
    const auto rebuilt = databases_.Rebuild(record.name, document.revision, source);
    world_.trace([&] { return "rebuild " + record.name + (rebuilt ? "" : ": " + rebuilt.error().message); });
    Settle(record.name);
  }
}

void ReplicatedGroup::Replicate(const std::string& name) {
  if (world_.is_over) return;
  ReceiveSome(name);
  const MemoryDatabases::Database& replica = databases_[name];
  const std::string& source = replica.following;
  const bool is_fed = !source.empty() && world_.AreLinked(places_.at(name), places_.at(source)) &&
                      databases_[source].Answers() && replica.receives;
  const bool has_work =
      replica.applied < replica.log.size() || (is_fed && replica.log.size() < databases_[source].log.size());
  const bool is_slow = nodes_.at(name).is_slow;
  const Duration step = is_slow ? world_.Between(100, 400) : has_work ? kStepWithWork : kStepAtRest;
  world_.scheduler.After(step, [this, name] { Replicate(name); });
}

void ReplicatedGroup::ReceiveSome(const std::string& name) {
  MemoryDatabases::Database& replica = databases_[name];
  if (replica.following.empty()) return;
  Node& node = nodes_.at(name);
  const std::string source = replica.following;
  const bool is_linked = world_.AreLinked(places_.at(name), places_.at(source));
  // A server that ended is missed at once, one that stands still, or is cut off, when its heartbeats are.
  if (is_linked && databases_[source].Answers()) {
    node.heard_of_source = world_.now();
  } else if ((is_linked && !databases_[source].runs) || world_.now() - node.heard_of_source > kHeartbeatsAreMissed) {
    replica.is_connected = false;
  }
  if (is_linked) {
    std::size_t acknowledged = 0;
    for (std::uint64_t steps = 1 + world_.random.Below(3); steps > 0; --steps) {
      acknowledged = std::max(acknowledged, databases_.Receive(name));
    }
    if (acknowledged > 0 && databases_[source].committed < databases_[source].log.size()) {
      world_.scheduler.After(world_.Travel(), [this, name, source, connection = replica.connection, acknowledged] {
        if (!world_.AreLinked(places_.at(name), places_.at(source))) return;
        databases_.Acknowledge(source, name, connection, acknowledged);
        Settle(source);
      });
    }
  }
  for (int i = 0; i < 3; ++i) databases_.Apply(name);
}

void ReplicatedGroup::Kill(const std::string& name) {
  if (!databases_[name].runs) return;
  world_.trace([&] { return "kill " + name; });
  databases_.Kill(name);
  Settle(name);
}

void ReplicatedGroup::Start(const std::string& name) {
  if (databases_[name].runs || !world_.runs[CenterWorld::Index(places_.at(name))]) return;
  const bool as_replica = failover::StartRoleOf(*topology_.document(), name) == failover::StartRole::kAsReplica;
  world_.trace([&] { return "start " + name + (as_replica ? " as a replica" : " as a primary"); });
  databases_.Run(name, as_replica ? MemoryDatabases::Start::kAsReplica : MemoryDatabases::Start::kAsPrimary);
}

void ReplicatedGroup::Freeze(const std::string& name, bool is_frozen) {
  world_.trace([&] { return (is_frozen ? "freeze " : "thaw ") + name; });
  databases_[name].is_frozen = is_frozen && databases_[name].runs;
  Settle(name);
}

void ReplicatedGroup::Hide(const std::string& name, bool is_hidden) {
  world_.trace([&] { return (is_hidden ? "hide " : "show ") + name; });
  nodes_.at(name).is_hidden = is_hidden;
}

void ReplicatedGroup::Slow(const std::string& name, bool is_slow) {
  world_.trace([&] { return (is_slow ? "slow " : "quick ") + name; });
  nodes_.at(name).is_slow = is_slow;
}

void ReplicatedGroup::Heal() {
  for (const std::string& name : names_) {
    nodes_.at(name).is_hidden = nodes_.at(name).is_slow = false;
    databases_[name].is_frozen = false;
    Start(name);
    Settle(name);
  }
}

}  // namespace muster::sim
