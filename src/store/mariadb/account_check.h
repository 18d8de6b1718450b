#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "store/mariadb/replication.h"
#include "store/mariadb/server_settings.h"

namespace muster::mariadb {

// What keeps the account that commands a database, or one under which another database of its group receives from it,
// from doing so: each would be noticed by a failover alone. WRITES_UNAVAILABLE: the server is out of reach, or refuses
// the first account.
Result<std::vector<SettingFinding>> CheckAccounts(const ReplicationOptions& options);

// Which of `needed` no line of SHOW GRANTS gives on `scope`, as in "*.*" or "`muster`.*", or on everything.
std::vector<std::string> MissingPrivileges(const std::vector<std::string>& grants, const std::string& scope,
                                           const std::vector<std::string>& needed);

}  // namespace muster::mariadb
