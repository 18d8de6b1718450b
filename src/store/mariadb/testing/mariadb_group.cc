#include "store/mariadb/testing/mariadb_group.h"

#include <chrono>

#include "store/mariadb/replication.h"

namespace muster::testing {
namespace {

constexpr const char* kNames[] = {"e1", "e2", "w1", "w2"};
constexpr const char* kPassword = "replication";

std::string CenterOf(const std::string& name) { return name[0] == 'e' ? "east" : "west"; }

}  // namespace

MariadbGroup::MariadbGroup() {
  int number = 0;
  for (const std::string name : kNames) {
    servers_[name] = std::make_unique<MariadbServer>(
        std::vector<std::string>{"--server-id=" + std::to_string(++number), "--log-bin=binlog",
                                 "--log-slave-updates=ON", "--gtid-strict-mode=ON", "--binlog-format=ROW",
                                 "--sync-binlog=1", "--read-only=ON", "--skip-slave-start=ON", "--relay-log=relay",
                                 "--slave-net-timeout=1", "--rpl-semi-sync-master-wait-point=AFTER_SYNC",
                                 "--rpl-semi-sync-master-timeout=4294967295", "--rpl-semi-sync-slave-enabled=OFF"},
        MariadbServer::At::kLater);
    servers_[name]->Launch();
  }
  for (const auto& [name, server] : servers_) {
    server->Await();
    // With the grants that README.md names, and no others.
    server->Execute("CREATE USER muster_control@'%' IDENTIFIED BY ''");
    server->Execute(
        "GRANT REPLICATION SLAVE, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, BINLOG ADMIN, BINLOG MONITOR, "
        "SLAVE MONITOR, READ ONLY ADMIN, CONNECTION ADMIN, CREATE USER, RELOAD, PROCESS ON *.* TO muster_control@'%'");
    server->Execute("GRANT SELECT ON mysql.* TO muster_control@'%'");
    server->Execute("GRANT ALL ON muster_control.* TO muster_control@'%'");
    server->Execute("GRANT ALL ON muster.* TO muster_control@'%'");
    server->Execute("RESET MASTER");  // each has that of its own
  }
  MariadbServer& primary = *servers_["e1"];
  for (const std::string name : kNames) {
    primary.Execute("CREATE USER 'repl_" + name + "'@'%' IDENTIFIED BY '" + kPassword + "'");
    primary.Execute("GRANT REPLICATION SLAVE ON *.* TO 'repl_" + name + "'@'%'");
  }
  primary.Execute("CREATE DATABASE muster");
  primary.Execute("CREATE TABLE muster.written (number BIGINT PRIMARY KEY) ENGINE = InnoDB");
  // Of a store, which may not write to a server that is read-only.
  primary.Execute("CREATE DATABASE members");
  primary.Execute("CREATE USER app@'%' IDENTIFIED BY ''");
  primary.Execute("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON members.* TO app@'%'");
  const auto order = [](const Result<void>& done) { EXPECT_TRUE(done) << done.error().message; };
  for (const std::string name : {"e2", "w1", "w2"}) {
    const auto acknowledges = CenterOf(name) == "west" ? failover::Acknowledging::kYes : failover::Acknowledging::kNo;
    order(MakeControl(name)->Follow(1, SourceOf("e1"), acknowledges, Deadline()));
  }
  order(MakeControl("e1")->Govern(1, {.is_writable = true, .waits = true}, Deadline()));
  EXPECT_TRUE(WaitUntil([&] {
    const auto end = Look("e1").applied;
    for (const std::string name : {"e2", "w1", "w2"}) {
      const auto state = Look(name);
      if (!state.is_connected || !state.HasApplied(end)) return false;
    }
    return true;
  }));
}

void MariadbGroup::StartAgain(const std::string& name, failover::StartRole role) {
  std::vector<std::string> more;
  if (role == failover::StartRole::kAsReplica) more = {"--init-rpl-role=SLAVE", "--rpl-semi-sync-slave-enabled=ON"};
  servers_.at(name)->Start(more);
}

std::unique_ptr<failover::ReplicaControl> MariadbGroup::MakeControl(const std::string& name) const {
  mariadb::ReplicationOptions options{.name = name,
                                      .endpoint = *mariadb::Endpoint::Parse(servers_.at(name)->tcp_address()),
                                      .control = {.user = "muster_control", .password = {}},
                                      .replica_password = Pii<std::string>(kPassword),
                                      .peers = {},
                                      .saved_directory = servers_.at(name)->data_directory() + "/..",
                                      .allows_unsafe = true};  // the tests' servers flush their logs once a second
  for (const std::string other : kNames) {
    if (other != name) options.peers.push_back(other);
  }
  return mariadb::MakeReplicaControl(std::move(options), clock);
}

failover::DatabaseState MariadbGroup::Look(const std::string& name) const {
  const auto state = MakeControl(name)->Look(Deadline());
  EXPECT_TRUE(state) << state.error().message;
  return state.value_or(failover::DatabaseState());
}

failover::ReplicationSource MariadbGroup::SourceOf(const std::string& name) const {
  return {.name = name, .address = servers_.at(name)->tcp_address()};
}

TopologyDocument MariadbGroup::Document() const {
  TopologyDocument document{.revision = 10, .epoch = Epoch(2), .centers = {"east", "west"}, .writer = "east"};
  GroupRecord group{.name = "g0", .primary = "e1", .ackers_revision = 1, .durability = Durability::kBothCenters};
  for (const std::string name : kNames) {
    group.databases.push_back({.name = name, .center = CenterOf(name), .address = servers_.at(name)->tcp_address()});
    if (CenterOf(name) == "west") group.ackers.push_back({.name = name, .state = AckerState::kIn});
  }
  document.groups.push_back(std::move(group));
  return document;
}

}  // namespace muster::testing
