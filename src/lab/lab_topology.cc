#include "lab/lab_topology.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "lab/lab_directory.h"
#include "store/mariadb/replication.h"
#include "topology/topology_etcd.h"

namespace muster::lab {
namespace {

using failover::DatabaseState;
using failover::ReplicaControl;

// Orders of the first time are older than any document.
constexpr std::int64_t kFirstRevision = 1;
constexpr std::int64_t kLeaseMs = 1'000;
constexpr std::chrono::milliseconds kReplicationLookAgain{10};
constexpr std::chrono::seconds kSettlePatience{5};

Result<std::unique_ptr<EtcdTopologyStore>> OpenStore(const Layout& layout, const Clock& clock, Random& random) {
  EtcdOptions options;
  for (const Component* const voter : layout.All(Kind::kEtcd)) {
    options.endpoints.push_back("http://" + Layout::Address(voter->port));
  }
  return OpenTopologyEtcd(options, {.clock = &clock, .random = &random});
}

Result<std::unique_ptr<ReplicaControl>> ControlOf(const Layout& layout, const Component& database, const Clock& clock) {
  MUSTER_ASSIGN(std::string control_password, ReadSecret(layout, "control-password"));
  MUSTER_ASSIGN(std::string replica_password, ReadSecret(layout, "replica-password"));
  mariadb::ReplicationOptions options{
      .name = database.name,
      .endpoint = {.host = "127.0.0.1", .port = database.port, .socket = {}},
      .control = {.user = "muster_control", .password = Pii<std::string>(std::move(control_password))},
      .replica_password = Pii<std::string>(std::move(replica_password)),
      .peers = {},
      .saved_directory = layout.directory()};
  for (const Component* const other : layout.All(Kind::kMariadb)) {
    if (other->group == database.group && other != &database) options.peers.push_back(other->name);
  }
  return mariadb::MakeReplicaControl(std::move(options), clock);
}

failover::ReplicationSource SourceFor(const Component& replica, const Component& primary) {
  return {.name = primary.name, .address = Layout::AddressFrom(replica.center, primary)};
}

}  // namespace

Result<std::shared_ptr<const TopologyDocument>> LabTopology::Read() const {
  MUSTER_ASSIGN(const auto store, OpenStore(layout_, clock_, random_));
  return store->Read();
}

Result<bool> LabTopology::IsMade() const {
  MUSTER_ASSIGN(const auto document, Read());
  return !document->groups.empty();
}

std::vector<const Component*> LabTopology::DatabasesOf(int group) const {
  std::vector<const Component*> databases = layout_.All(Kind::kMariadb);
  std::erase_if(databases, [group](const Component* database) { return database->group != group; });
  return databases;
}

GroupRecord LabTopology::RecordOf(int group) const {
  const auto databases = DatabasesOf(group);
  GroupRecord record{
      .name = Layout::GroupName(group), .primary = databases.front()->name, .durability = Durability::kBothCenters};
  for (const Component* const database : databases) {
    record.databases.push_back({.name = database->name,
                                .center = std::string(NameOf(database->center)),
                                .address = Layout::Address(database->port),
                                .remote_address = Layout::Address(database->remote_port)});
    if (database->center != databases.front()->center) {
      record.ackers.push_back({.name = database->name, .state = AckerState::kIn});
    }
  }
  return record;
}

Result<void> LabTopology::Replicate(int group, Deadline deadline) const {
  const auto databases = DatabasesOf(group);
  const Component& primary = *databases.front();
  MUSTER_ASSIGN(const auto control, ControlOf(layout_, primary, clock_));
  for (const Component* const replica : databases) {
    if (replica == &primary) continue;
    MUSTER_ASSIGN(const auto of_replica, ControlOf(layout_, *replica, clock_));
    const auto acknowledges =
        replica->center != primary.center ? failover::Acknowledging::kYes : failover::Acknowledging::kNo;
    MUSTER_TRY(of_replica->Follow(kFirstRevision, SourceFor(*replica, primary), acknowledges, deadline));
  }
  MUSTER_TRY(control->Govern(kFirstRevision, {.is_writable = true, .waits = true, .shut_out = {}}, deadline));
  for (const Component* const replica : databases) {
    if (replica == &primary) continue;
    MUSTER_ASSIGN(const auto of_replica, ControlOf(layout_, *replica, clock_));
    for (;;) {
      const auto state = of_replica->Look(deadline);
      if (state && state->is_connected && state->applies) break;
      if (deadline.Passed(clock_)) {
        return Fail(Reason::kInternal,
                    replica->name + " does not follow " + primary.name + "; see its log: " + layout_.LogOf(*replica));
      }
      std::this_thread::sleep_for(kReplicationLookAgain);
    }
  }
  return {};
}

Result<void> LabTopology::Make(Deadline deadline) const {
  for (int group = 1; group <= layout_.groups(); ++group) MUSTER_TRY(Replicate(group, deadline));
  MUSTER_ASSIGN(const auto store, OpenStore(layout_, clock_, random_));
  MUSTER_TRY(store->Update([this](TopologyDocument& document) -> Result<void> {
    document.centers = {std::string(NameOf(Center::kA)), std::string(NameOf(Center::kB))};
    document.writer = NameOf(Center::kA);
    document.epoch = Epoch(document.epoch.value() + 1);
    document.lease_ms = kLeaseMs;
    document.groups.clear();
    for (int group = 1; group <= layout_.groups(); ++group) document.groups.push_back(RecordOf(group));
    return {};
  }));
  return {};
}

Result<failover::StartRole> LabTopology::StartRoleOf(const Component& database) const {
  const auto document = Read();
  if (document) return failover::StartRoleOf(**document, database.name);
  Error error = document.error();
  error.message =
      "as what " + database.name +
      " has to start stands in the topology, which cannot be read: start the voters of etcd first, or put it "
      "right (" +
      error.message + ")";
  return Fail(std::move(error));
}

Result<void> LabTopology::Settle(int group) const {
  MUSTER_ASSIGN(const auto document, Read());
  const GroupRecord* const record = document->FindGroup(Layout::GroupName(group));
  if (record == nullptr || document->failover) return {};
  const Component* const primary = layout_.Find(record->primary);
  if (primary == nullptr) return {};
  const Deadline deadline = Deadline::After(clock_, kSettlePatience);
  Result<void> settled;
  for (const Component* const database : DatabasesOf(group)) {
    MUSTER_ASSIGN(const auto control, ControlOf(layout_, *database, clock_));
    if (!control->Look(deadline)) continue;  // it does not run
    const AckerRecord* const acker = record->FindAcker(database->name);
    auto acknowledges = failover::Acknowledging::kNo;
    if (acker != nullptr) {
      acknowledges = acker->state == AckerState::kIn ? failover::Acknowledging::kYes : failover::Acknowledging::kNotNow;
    }
    const bool waits = record->durability == Durability::kBothCenters;
    Result<void> done =
        database == primary
            ? control->Govern(document->revision, {.is_writable = true, .waits = waits, .shut_out = {}}, deadline)
            : control->Follow(document->revision, SourceFor(*database, *primary), acknowledges, deadline);
    if (!done) settled = std::move(done);
  }
  return settled;
}

}  // namespace muster::lab
