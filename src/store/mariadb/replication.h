#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/pii.h"
#include "store/mariadb/connection.h"
#include "topology/failover/replica_control.h"

namespace muster::mariadb {

struct ReplicationOptions {
  std::string name;   // of the database, as the topology names it
  Endpoint endpoint;  // by host and port
  // Commands the server. Needs REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, BINLOG ADMIN, BINLOG MONITOR, SLAVE
  // MONITOR, READ ONLY ADMIN, CONNECTION ADMIN, CREATE USER, RELOAD, SELECT on mysql.*, and everything on
  // muster_control.*.
  Account control;
  // Each replica receives under an account of its own, so that a primary can shut out one alone: this and its name.
  // They have REPLICATION SLAVE and one password.
  std::string replica_user_prefix = "repl_";
  Pii<std::string> replica_password;
  std::vector<std::string> peers;   // names of the group's other databases
  std::string saved_directory;      // where what a diverged database has more is saved, in files of mode 0600
  std::string database = "muster";  // that a rebuild copies
  bool allows_unsafe = false;       // settings that can lose what is acknowledged are not told of
};

// Failover's port on MariaDB 10.11 (docs/decisions/0023). What is done to a server stays there but for what it takes
// from its configuration when it starts: so that has to say read_only = ON, skip_slave_start = ON and
// rpl_semi_sync_slave_enabled = OFF. The revision that it has obeyed lies in muster_control.command, which is not
// replicated.
std::unique_ptr<failover::ReplicaControl> MakeReplicaControl(ReplicationOptions options, const Clock& clock);

}  // namespace muster::mariadb
