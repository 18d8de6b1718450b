#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "store/mariadb/connection.h"
#include "topology/failover/gtid_position.h"

namespace muster::mariadb {

// Writes what the server's binlog has after `position`, or all of it, into a file of mode 0600, as a binlog that
// mariadb-binlog reads; answers how many transactions. It holds rows, and so what personal values are sealed into. The
// file is whole as soon as it is there, and one that is there is replaced. NOT_FOUND: the binlog does not go back to
// that position. The connection serves for nothing else afterwards.
Result<std::int64_t> SaveBinlog(Connection& server, const std::optional<failover::GtidPosition>& position,
                                const std::string& path);

// Where the log of `diverged` leaves that of `source`: the last transaction of the server that wrote its end which
// `source` has as well. Empty: none, or that cannot be told.
Result<failover::GtidPosition> DivergedAfter(Connection& diverged, Connection& source);

// `target`, on which nobody reads or writes, gets the tables of `database` as one snapshot of `source` has them, under
// the primary key of each; answers the snapshot's position. For groups that can be copied row by row while somebody
// waits; larger ones are copied by mariabackup. WRITES_UNAVAILABLE: `goes_on` was false after some page.
Result<failover::GtidPosition> CopyDatabase(Connection& source, Connection& target, const std::string& database,
                                            const std::function<bool()>& goes_on);

// No server has it: whoever is to follow from here is refused, and found to have diverged. Of a copy that is not whole.
inline constexpr const char* kPositionOfNobody = "0-4294967294-1";

}  // namespace muster::mariadb
