#pragma once

#include "app/cli/exit_code.h"
#include "app/server/center_options.h"
#include "store/mariadb/replication.h"
#include "topology/topology.h"

namespace muster {

// The accounts by which databases are commanded, and by which replicas receive, with their passwords.
struct CommandAccounts {
  mariadb::Account control;
  std::string replica_user_prefix;
  Pii<std::string> replica_password;
};
Outcome<CommandAccounts> ReadCommandAccounts(const CenterOptions& options);

// How a database of the topology is commanded from `center`; what a rebuild needs beyond that is for the caller to add.
// INVALID_ARGUMENT: what the topology has for its address is none.
Result<mariadb::ReplicationOptions> CommandsOf(const std::string& center, const CommandAccounts& accounts,
                                               const GroupRecord& group, const DatabaseRecord& database);

}  // namespace muster
