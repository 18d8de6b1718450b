#include "topology/failover/testing/memory_databases.h"

#include <algorithm>
#include <utility>

namespace muster::failover {
namespace {

class MemoryControl final : public ReplicaControl {
 public:
  MemoryControl(MemoryDatabases& databases, std::string name) : databases_(databases), name_(std::move(name)) {}

  Result<DatabaseState> Look(Deadline /*deadline*/) override { return databases_.Look(name_); }
  Result<void> StopReceiving(std::int64_t revision, Deadline /*deadline*/) override {
    return databases_.StopReceiving(name_, revision);
  }
  Result<void> Follow(std::int64_t revision, const ReplicationSource& source, Acknowledging acknowledges,
                      Deadline /*deadline*/) override {
    return databases_.Follow(name_, revision, source, acknowledges);
  }
  Result<void> Promote(std::int64_t revision, bool waits, Deadline /*deadline*/) override {
    return databases_.Promote(name_, revision, waits);
  }
  Result<void> Govern(std::int64_t revision, const PrimaryOrder& order, Deadline /*deadline*/) override {
    return databases_.Govern(name_, revision, order);
  }
  Result<std::string> Rebuild(std::int64_t revision, const ReplicationSource& source,
                              const std::function<bool()>& /*goes_on*/) override {
    return databases_.Rebuild(name_, revision, source);
  }

 private:
  MemoryDatabases& databases_;
  const std::string name_;
};

}  // namespace

MemoryDatabases::Database& MemoryDatabases::Add(const std::string& name) {
  auto& database = databases_[name];
  database = std::make_unique<Database>();
  database->name = name;
  database->server = static_cast<std::uint32_t>(databases_.size());
  return *database;
}

GtidPosition MemoryDatabases::PositionOf(const Database& database, std::size_t count) {
  return count == 0 ? GtidPosition() : GtidPosition::Of(0, database.log[count - 1].server, count);
}

Result<void> MemoryDatabases::Obey(Database& database, std::int64_t revision) {
  if (!database.Answers()) return Fail(Reason::kWritesUnavailable, database.name + " does not answer");
  if (revision < database.obeyed) return Fail(Reason::kStateConflict, database.name + " has obeyed a later topology");
  database.obeyed = revision;
  return {};
}

Result<DatabaseState> MemoryDatabases::Look(const std::string& name) {
  const Database& database = *databases_.at(name);
  if (!database.Answers()) return Fail(Reason::kWritesUnavailable, name + " does not answer");
  return DatabaseState{.is_writable = database.is_writable,
                       .obeyed = database.obeyed,
                       .following = database.following.empty() ? "" : database.address,
                       .receives = database.receives,
                       .is_connected = database.receives && database.is_connected,
                       .applies = database.applies,
                       .acknowledges = database.acknowledges,
                       .may_have_acknowledged = database.told_to_acknowledge || database.acknowledges,
                       .fault = database.fault,
                       .waits = database.waits,
                       .shut_out = database.shut_out,
                       .applied = PositionOf(database, database.applied),
                       .received = PositionOf(database, database.log.size())};
}

Result<void> MemoryDatabases::StopReceiving(const std::string& name, std::int64_t revision) {
  Database& database = *databases_.at(name);
  MUSTER_TRY(Obey(database, revision));
  database.receives = false;
  if (!database.following.empty() && database.fault == ReplicaFault::kNone) database.applies = true;
  return {};
}

Result<void> MemoryDatabases::Follow(const std::string& name, std::int64_t revision, const ReplicationSource& source,
                                     Acknowledging acknowledging) {
  Database& database = *databases_.at(name);
  MUSTER_TRY(Obey(database, revision));
  if (revision <= database.promoted) return Fail(Reason::kStateConflict, name + " was promoted by that topology");
  if (database.is_writable && HasWaiting(database)) {
    return Fail(Reason::kWritesUnavailable, name + " has commits that wait");
  }
  database.is_writable = false;
  database.waits = false;
  if (database.following.empty() || database.address != source.address || !database.applies) {
    // Both threads end, and what was received and not applied is thrown away: it will be received again.
    if (!database.following.empty()) database.log.resize(database.applied);
    database.following = source.name;
    database.address = source.address;
    database.fault = ReplicaFault::kNone;
    database.is_connected = false;
  }
  const bool acknowledges = acknowledging == Acknowledging::kYes;
  if (!database.receives || database.acknowledges != acknowledges) ++database.connection;
  database.receives = true;
  database.applies = true;
  database.acknowledges = acknowledges;
  if (acknowledging != Acknowledging::kNotNow) database.told_to_acknowledge = acknowledges;
  return {};
}

Result<void> MemoryDatabases::Promote(const std::string& name, std::int64_t revision, bool waits) {
  Database& database = *databases_.at(name);
  MUSTER_TRY(Obey(database, revision));
  if (database.applied != database.log.size()) return Fail(Reason::kStateConflict, name + " has not applied all");
  database.promoted = revision;
  database.receives = false;
  database.applies = false;
  database.following.clear();
  database.acknowledges = database.told_to_acknowledge = false;
  database.waits = waits;
  database.committed = database.log.size();
  database.is_writable = true;
  return {};
}

Result<void> MemoryDatabases::Govern(const std::string& name, std::int64_t revision, const PrimaryOrder& order) {
  Database& database = *databases_.at(name);
  MUSTER_TRY(Obey(database, revision));
  if (!database.following.empty()) return Fail(Reason::kStateConflict, name + " is a replica");
  for (const std::string& out : order.shut_out) {
    Database& replica = *databases_.at(out);
    if (replica.following != name || std::ranges::binary_search(database.shut_out, out)) continue;
    ++replica.connection;
    replica.is_connected = false;
  }
  database.shut_out = order.shut_out;
  database.waits = order.waits;
  if (!order.waits) database.committed = database.log.size();
  if (order.is_writable) {
    if (!database.is_writable) database.committed = database.log.size();
    database.is_writable = true;
  } else if (database.is_writable) {
    if (HasWaiting(database)) return Fail(Reason::kWritesUnavailable, name + " has commits that wait");
    database.is_writable = false;
  }
  return {};
}

Result<std::string> MemoryDatabases::Rebuild(const std::string& name, std::int64_t revision,
                                             const ReplicationSource& source) {
  Database& database = *databases_.at(name);
  MUSTER_TRY(Obey(database, revision));
  const Database& from = *databases_.at(source.name);
  if (!from.Answers()) return Fail(Reason::kWritesUnavailable, source.name + " does not answer");
  if (revision <= database.promoted) return Fail(Reason::kStateConflict, name + " was promoted by that topology");
  if (database.is_writable && HasWaiting(database)) {
    ++database.life;  // whoever waits is cut off
    database.committed = database.log.size();
  }
  database.is_writable = database.waits = false;
  const bool follows = database.following == source.name && database.is_connected && database.applies;
  if (follows && database.fault == ReplicaFault::kNone) return name + " follows already";
  const std::size_t extra = database.log.size();
  if (std::exchange(breaks_off_rebuild, false)) {
    database.log.assign(1, {.server = kNobody, .value = 0});
    database.applied = database.committed = 1;
    database.following.clear();
    database.fault = ReplicaFault::kNone;
    database.receives = database.is_connected = database.applies = database.acknowledges = false;
    return Fail(Reason::kWritesUnavailable, "the rebuild of " + name + " was broken off");
  }
  const std::size_t visible = from.following.empty() ? from.committed : from.applied;
  database.log.assign(from.log.begin(), from.log.begin() + static_cast<std::ptrdiff_t>(visible));
  database.applied = database.committed = database.log.size();
  database.following.clear();
  MUSTER_TRY(Follow(name, revision, source, Acknowledging::kNo));
  return name + ".extra-" + std::to_string(extra);
}

std::unique_ptr<ReplicaControl> MemoryDatabases::MakeControl(const std::string& name) {
  return std::make_unique<MemoryControl>(*this, name);
}

std::size_t MemoryDatabases::Write(const std::string& name, std::uint64_t value) {
  Database& database = *databases_.at(name);
  if (!database.Answers() || !database.is_writable) return 0;
  database.log.push_back({.server = database.server, .value = value});
  database.applied = database.log.size();
  if (!database.waits) database.committed = database.log.size();
  return database.log.size();
}

std::size_t MemoryDatabases::Receive(const std::string& name) {
  Database& replica = *databases_.at(name);
  if (!replica.Answers() || replica.following.empty()) return 0;
  Database& source = *databases_.at(replica.following);
  if (!source.Answers()) return 0;
  if (!replica.receives) return 0;
  if (std::ranges::binary_search(source.shut_out, name)) {
    replica.is_connected = false;  // it is refused, again and again
    return 0;
  }
  const std::size_t have = replica.log.size();
  const bool is_prefix = have <= source.log.size() && (have == 0 || replica.log[have - 1] == source.log[have - 1]);
  if (!is_prefix && !(keeps_all_at_start && have < source.log.size())) {
    replica.fault = ReplicaFault::kDiverged;
    replica.receives = replica.is_connected = false;
    return 0;
  }
  replica.is_connected = true;
  // A replica passes on what it has applied.
  const std::size_t offered = source.following.empty() ? source.log.size() : source.applied;
  if (have >= offered) return replica.acknowledges ? have : 0;
  replica.log.push_back(source.log[have]);
  return replica.acknowledges ? replica.log.size() : 0;
}

void MemoryDatabases::Apply(const std::string& name) {
  Database& replica = *databases_.at(name);
  if (replica.Answers() && replica.applies && replica.applied < replica.log.size()) ++replica.applied;
}

void MemoryDatabases::Acknowledge(const std::string& primary, const std::string& replica, std::uint64_t connection,
                                  std::size_t count) {
  Database& database = *databases_.at(primary);
  if (!database.Answers() || databases_.at(replica)->connection != connection) return;
  if (std::ranges::binary_search(database.shut_out, replica)) return;
  database.committed = std::max(database.committed, std::min(count, database.log.size()));
}

void MemoryDatabases::Kill(const std::string& name) {
  Database& database = *databases_.at(name);
  ++database.life;
  database.runs = database.is_frozen = false;
  database.is_connected = false;
  database.is_writable = database.receives = database.applies = database.acknowledges = database.waits = false;
  database.fault = ReplicaFault::kNone;
  ++database.connection;
}

void MemoryDatabases::Run(const std::string& name, Start start) {
  Database& database = *databases_.at(name);
  if (database.runs) return;
  database.runs = true;
  if (!database.following.empty()) {
    database.log.resize(database.applied);
  } else if (start == Start::kAsReplica && !keeps_all_at_start) {
    database.log.resize(database.committed);
    database.applied = database.log.size();
  } else {
    database.committed = database.log.size();
  }
}

}  // namespace muster::failover
