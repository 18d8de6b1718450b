#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/mariadb/connection.h"
#include "store/mariadb/replication.h"
#include "topology/failover/replica_control.h"

namespace muster::mariadb {

// What the server says of its replication. Positions are read last. `tries_disk`: it also has to write a file, in its
// tmpdir, and gives it up again, which fails where that is full, and commits wait for room.
Result<failover::DatabaseState> ReadState(Connection& connection, const ReplicationOptions& options,
                                          bool tries_disk = false);

// One order to a server: a session of its own that holds the lock of orders, so that they come one after the other. It
// begins by writing down the revision that the order follows from; an order of an older one is refused from then on.
// The session of an older order, and of one that stands still half done, is ended.
class ReplicationSession {
 public:
  static Result<ReplicationSession> Begin(const ReplicationOptions& options, std::int64_t revision, Duration at_most);

  Connection& connection() { return *connection_; }
  Result<void> Run(const std::vector<std::string>& statements);
  // It waits for another server now and then, and does not count as one that stands still.
  Result<void> MayTakeLong();
  // read_only, once the commits under way have ended.
  Result<void> StopWriting();
  // read_only, also when commits wait for an acknowledgement that nobody will give: their clients are cut off, so that
  // nobody is told that they are written, and they are. Only when no lease of a writer there is valid.
  Result<void> GiveUpWriting();
  // Whether commits wait for an acknowledgement, for ever and before others see them.
  Result<void> SetWaiting(bool waits);
  // STATE_CONFLICT: the server was promoted under this revision or a later one, and is not made to follow under it.
  Result<void> RefuseIfPromoted(std::int64_t revision);
  Result<void> RememberPromotion(std::int64_t revision);
  // It acknowledges from now on, or no longer, and remembers that (DatabaseState::may_have_acknowledged): `start`
  // starts the stopped thread that receives.
  Result<void> StartReceiving(std::int64_t revision, failover::Acknowledging acknowledges, const std::string& start);
  // Of the peers those that may not receive: their accounts are locked, and their connections ended.
  Result<void> ShutOut(const std::vector<std::string>& names);

 private:
  ReplicationSession(const ReplicationOptions& options, std::unique_ptr<Connection> connection)
      : options_(&options), connection_(std::move(connection)) {}
  Result<void> TakeLock(std::int64_t revision);
  Result<void> Obey(std::int64_t revision);
  void EndSession(const std::string& id);
  Result<void> EndDumpsOf(const std::string& user);

  const ReplicationOptions* options_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace muster::mariadb
