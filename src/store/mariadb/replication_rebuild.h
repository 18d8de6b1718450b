#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "store/mariadb/connection.h"
#include "topology/failover/gtid_position.h"

namespace muster::mariadb {

// Writes what the server's binlog has after `position` into a new file of mode 0600, as a binlog that mariadb-binlog
// reads; answers how many transactions. It holds rows, and so what personal values are sealed into.
Result<std::int64_t> SaveBinlogAfter(Connection& server, const failover::GtidPosition& position,
                                     const std::string& path);

// Where the log of `diverged` leaves that of `source`: the last transaction of the server that wrote its end which
// `source` has as well. Empty: none, or that cannot be told.
Result<failover::GtidPosition> DivergedAfter(Connection& diverged, Connection& source);

// `target`, on which nobody reads or writes, gets the tables of `database` as one snapshot of `source` has them, under
// the primary key of each; answers the snapshot's position. For groups that can be copied row by row while somebody
// waits; larger ones are copied by mariabackup.
Result<failover::GtidPosition> CopyDatabase(Connection& source, Connection& target, const std::string& database);

}  // namespace muster::mariadb
