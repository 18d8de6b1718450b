#include "store/mariadb/replication_session.h"

#include <algorithm>
#include <array>
#include <utility>

namespace muster::mariadb {
namespace {

using failover::Acknowledging;
using failover::DatabaseState;
using failover::GtidPosition;
using failover::ReplicaFault;

// Of SHOW SLAVE STATUS.
enum StatusColumn : std::size_t {
  kMasterHost = 1,
  kMasterPort = 3,
  kIoRunning = 10,
  kSqlRunning = 11,
  kLastIoError = 34,
  kLastIoErrorText = 35,
  kLastSqlError = 36,
  kUsingGtid = 42,
  kGtidIoPosition = 43,
};
constexpr std::int64_t kFatalBinlogError =
    1236;  // the server has not what is asked for, or something else in its place
constexpr std::int64_t kGtidOutOfOrder = 1950;
// A wrong password, an account or a host that is not known there, and one that may not receive. That it is locked is
// muster's own doing.
constexpr std::int64_t kAccessRefused[] = {1045, 1130, 1227, 1597, 1698};
// Who has the lock and sends nothing for so long stands still, or is cut off: what it has done half may be done again.
// A rebuild waits for the server that it copies.
constexpr const char* kHolderThatStandsStill =
    "SELECT ID FROM information_schema.PROCESSLIST WHERE ID = IS_USED_LOCK('muster.command') AND COMMAND = 'Sleep' AND "
    "TIME_MS > 300 AND ID <> COALESCE(IS_USED_LOCK('muster.rebuild'), 0)";
constexpr int kEndLooksMax = 100;      // for a connection that was ended, of 10 ms each
constexpr int kGiveUpAttemptsMax = 5;  // of a second each

Error Unsafe(const ReplicationOptions& options, const std::string& what) {
  return Error{.reason = Reason::kInternal, .message = options.name + " at " + options.endpoint.Name() + ": " + what};
}

std::string UserOf(const ReplicationOptions& options, const std::string& name) {
  return options.replica_user_prefix + name;
}

Result<void> ReadReplica(Connection& connection, const ReplicationOptions& options, DatabaseState& state) {
  MUSTER_ASSIGN(const auto rows, connection.Query("SHOW SLAVE STATUS"));
  if (rows.empty()) return {};
  const Connection::Row& row = rows[0];
  if (row.size() <= kGtidIoPosition || (row[kUsingGtid] != "Slave_Pos" && row[kUsingGtid] != "Current_Pos")) {
    return Fail(Unsafe(options, "it does not replicate by GTID, or is no MariaDB 10.11; run RESET SLAVE ALL there"));
  }
  state.following = row[kMasterHost] + ":" + row[kMasterPort];
  state.receives = row[kIoRunning] != "No";
  state.is_connected = row[kIoRunning] == "Yes";
  state.applies = row[kSqlRunning] == "Yes";
  const std::int64_t io_error = NumberIn(row[kLastIoError]);
  const std::int64_t sql_error = NumberIn(row[kLastSqlError]);
  if ((io_error == kFatalBinlogError && !state.is_connected) || sql_error == kGtidOutOfOrder) {
    state.fault = ReplicaFault::kDiverged;
  } else if (sql_error != 0 && !state.applies) {
    state.fault = ReplicaFault::kBroken;
  }
  if (!state.is_connected && std::ranges::count(kAccessRefused, io_error) > 0) state.refused = row[kLastIoErrorText];
  MUSTER_ASSIGN(state.received, GtidPosition::Parse(row[kGtidIoPosition]));
  return {};
}

// Those whose account is locked and that have no connection left.
Result<void> ReadShutOut(Connection& connection, const ReplicationOptions& options, bool tries_disk,
                         DatabaseState& state) {
  MUSTER_ASSIGN(const auto locked, connection.Query("SELECT User FROM mysql.global_priv WHERE "
                                                    "JSON_VALUE(Priv, '$.account_locked') = 1"));
  const auto is_among = [](const std::vector<Connection::Row>& rows, const std::string& user) {
    return std::ranges::any_of(rows, [&](const Connection::Row& row) { return row[0] == user; });
  };
  for (const std::string& name : options.peers) {
    if (is_among(locked, UserOf(options, name))) state.shut_out.push_back(name);
  }
  // The server writes the list of connections to a file of its own each time.
  if (state.shut_out.empty() && !tries_disk) return {};
  MUSTER_ASSIGN(const auto connected, connection.Query("SELECT DISTINCT USER FROM information_schema.PROCESSLIST"));
  std::erase_if(state.shut_out, [&](const std::string& name) { return is_among(connected, UserOf(options, name)); });
  std::ranges::sort(state.shut_out);
  return {};
}

}  // namespace

Result<DatabaseState> ReadState(Connection& connection, const ReplicationOptions& options, bool tries_disk) {
  DatabaseState state;
  auto obeyed =
      connection.Query("SELECT COALESCE(MAX(revision), 0), COALESCE(MAX(id = 3), 0) FROM muster_control.command");
  if (obeyed) {
    state.obeyed = NumberIn((*obeyed)[0][0]);
    state.may_have_acknowledged = (*obeyed)[0][1] == "1";
  } else if (connection.last_fault() != Fault::kNoSuchTable) {
    return Fail(std::move(obeyed).error());
  }
  MUSTER_ASSIGN(const auto flags,
                connection.Query("SELECT @@GLOBAL.read_only, @@GLOBAL.rpl_semi_sync_slave_enabled, "
                                 "@@GLOBAL.rpl_semi_sync_master_enabled AND @@GLOBAL.rpl_semi_sync_master_timeout > "
                                 "4000000000 AND @@GLOBAL.rpl_semi_sync_master_wait_no_slave AND "
                                 "@@GLOBAL.rpl_semi_sync_master_wait_point = 'AFTER_SYNC', "
                                 "@@GLOBAL.sync_binlog, @@GLOBAL.innodb_flush_log_at_trx_commit"));
  state.is_writable = flags[0][0] == "0";
  state.acknowledges = flags[0][1] == "1";
  state.waits = flags[0][2] == "1";
  if (!options.allows_unsafe && flags[0][3] != "1") state.unsafe = "sync_binlog = " + flags[0][3];
  if (!options.allows_unsafe && flags[0][4] != "1") state.unsafe = "innodb_flush_log_at_trx_commit = " + flags[0][4];
  MUSTER_TRY(ReadShutOut(connection, options, tries_disk, state));
  MUSTER_TRY(ReadReplica(connection, options, state));
  // A server that is started to be truncated has the flag on from the start; its threads are off then.
  state.acknowledges = state.acknowledges && state.applies;
  state.may_have_acknowledged = state.may_have_acknowledged || state.acknowledges;
  MUSTER_ASSIGN(const auto positions, connection.Query("SELECT @@GLOBAL.gtid_binlog_pos, @@GLOBAL.gtid_slave_pos"));
  MUSTER_ASSIGN(state.applied, GtidPosition::Parse(positions[0][state.following.empty() ? 0 : 1]));
  return state;
}

Result<ReplicationSession> ReplicationSession::Begin(const ReplicationOptions& options, std::int64_t revision,
                                                     Duration at_most) {
  const Timeouts timeouts{.connect = std::chrono::seconds(1), .statement = at_most};
  MUSTER_ASSIGN(auto connection, Connection::Open(options.endpoint, options.control, "", timeouts, Use::kWrite));
  ReplicationSession session(options, std::move(connection));
  const auto seconds = std::max<std::int64_t>(1, std::chrono::floor<std::chrono::seconds>(at_most).count() - 1);
  // What is done here is of this server alone.
  MUSTER_TRY(session.Run({"SET SESSION sql_log_bin = 0, lock_wait_timeout = " + std::to_string(seconds) +
                          ", innodb_lock_wait_timeout = 1"}));
  MUSTER_TRY(session.TakeLock(revision));
  if (Result<void> obeyed = session.Obey(revision); !obeyed) {
    if (session.connection().last_fault() != Fault::kReadOnly) return Fail(std::move(obeyed).error());
    return Fail(Unsafe(options, "its account " + options.control.user +
                                    " may not write while the server is read-only: GRANT READ ONLY ADMIN ON *.* TO it "
                                    "at the primary, and see `muster doctor`"));
  }
  return session;
}

Result<void> ReplicationSession::TakeLock(std::int64_t revision) {
  for (const char* const wait : {"0.3", "1"}) {
    MUSTER_ASSIGN(const std::int64_t is_taken,
                  connection_->ReadInteger(std::string("SELECT GET_LOCK('muster.command', ") + wait + ")"));
    if (is_taken == 1) return {};
    auto obeyed = connection_->ReadInteger("SELECT COALESCE(MAX(revision), 0) FROM muster_control.command");
    const bool is_older = !obeyed || *obeyed < revision;
    MUSTER_ASSIGN(const auto holder,
                  connection_->Query(is_older ? "SELECT IS_USED_LOCK('muster.command')" : kHolderThatStandsStill));
    if (holder.empty() && !is_older) break;
    if (!holder.empty() && !holder[0][0].empty()) EndSession(holder[0][0]);
  }
  return Fail(Reason::kWritesUnavailable, options_->name + ": another order is under way; try again");
}

// Row 1: the highest revision that was obeyed; row 2: the last one that promoted the server; row 3: the one that told
// it to acknowledge, until one tells it not to, or promotes it.
Result<void> ReplicationSession::Obey(std::int64_t revision) {
  const std::string obey = "INSERT INTO muster_control.command VALUES (1, " + std::to_string(revision) +
                           ") ON DUPLICATE KEY UPDATE revision = GREATEST(revision, VALUES(revision))";
  Result<void> done = connection_->Execute(obey);
  if (!done && connection_->last_fault() == Fault::kNoSuchTable) {
    MUSTER_TRY(
        Run({"CREATE DATABASE IF NOT EXISTS muster_control",
             "CREATE TABLE IF NOT EXISTS muster_control.command (id TINYINT PRIMARY KEY, revision BIGINT NOT NULL) "
             "ENGINE = InnoDB",
             obey}));
  } else if (!done) {
    return done;
  }
  MUSTER_ASSIGN(const std::int64_t obeyed,
                connection_->ReadInteger("SELECT revision FROM muster_control.command WHERE id = 1"));
  if (obeyed == revision) return {};
  return Fail(Reason::kStateConflict, options_->name + " has obeyed topology " + std::to_string(obeyed) +
                                          ", so an order of " + std::to_string(revision) + " comes too late");
}

Result<void> ReplicationSession::RefuseIfPromoted(std::int64_t revision) {
  MUSTER_ASSIGN(const std::int64_t promoted,
                connection_->ReadInteger("SELECT COALESCE(MAX(revision), 0) FROM muster_control.command WHERE id = 2"));
  if (promoted < revision) return {};
  return Fail(Reason::kStateConflict, options_->name + " was promoted under topology " + std::to_string(promoted) +
                                          ", so an order of " + std::to_string(revision) + " to follow comes too late");
}

Result<void> ReplicationSession::RememberPromotion(std::int64_t revision) {
  return Run({"REPLACE INTO muster_control.command VALUES (2, " + std::to_string(revision) + ")",
              "DELETE FROM muster_control.command WHERE id = 3"});
}

// By one statement: whoever sends the next one may stand still meanwhile, and has told it nothing then.
Result<void> ReplicationSession::StartReceiving(std::int64_t revision, Acknowledging acknowledges,
                                                const std::string& start) {
  const std::string flag = "SET GLOBAL rpl_semi_sync_slave_enabled = ";
  std::string text = flag + "OFF; " + start;
  if (acknowledges == Acknowledging::kYes) {
    text = "REPLACE INTO muster_control.command VALUES (3, " + std::to_string(revision) + "); " + flag + "ON; " + start;
  } else if (acknowledges == Acknowledging::kNo) {
    text += "; DELETE FROM muster_control.command WHERE id = 3";
  }
  return connection_->Execute("BEGIN NOT ATOMIC " + text + "; END");
}

Result<void> ReplicationSession::Run(const std::vector<std::string>& statements) {
  for (const std::string& statement : statements) MUSTER_TRY(connection_->Execute(statement));
  return {};
}

Result<void> ReplicationSession::MayTakeLong() {
  MUSTER_ASSIGN(const std::int64_t is_taken, connection_->ReadInteger("SELECT GET_LOCK('muster.rebuild', 1)"));
  if (is_taken == 1) return {};
  return Fail(Reason::kWritesUnavailable, options_->name + ": a rebuild is under way; try again");
}

Result<void> ReplicationSession::StopWriting() {
  const Result<void> done = connection_->Execute("SET GLOBAL read_only = 1");
  if (done || connection_->last_fault() == Fault::kRefused) return done;
  return Fail(
      Reason::kWritesUnavailable,
      options_->name +
          " has commits that wait for an acknowledgement, and so does not become read-only. Unless an "
          "acker is back soon, and as soon as the topology names another primary: end it (kill -9) and start it "
          "with --init-rpl-role=SLAVE, which gives them up, or have it saved and copied anew (`muster topology "
          "rebuild " +
          options_->name + "`) (" + done.error().message + ")");
}

Result<void> ReplicationSession::GiveUpWriting() {
  // A statement that stands that long is a commit that waits, or stands behind one.
  constexpr const char* kStanding =
      "SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND COMMAND IN ('Query', 'Execute') "
      "AND USER <> 'system user' AND TIME_MS > 500";
  MUSTER_ASSIGN(const std::int64_t wait, connection_->ReadInteger("SELECT @@SESSION.lock_wait_timeout"));
  MUSTER_TRY(connection_->Execute("SET SESSION lock_wait_timeout = 1"));
  Result<void> done;
  for (int i = 0; i < kGiveUpAttemptsMax; ++i) {
    done = StopWriting();
    if (done) return connection_->Execute("SET SESSION lock_wait_timeout = " + std::to_string(wait));
    MUSTER_ASSIGN(const auto standing, connection_->Query(kStanding));
    for (const Connection::Row& row : standing) EndSession(row[0]);
  }
  return done;
}

Result<void> ReplicationSession::SetWaiting(bool waits) {
  if (!waits) return Run({"SET GLOBAL rpl_semi_sync_master_enabled = OFF"});
  return Run({"SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_SYNC",
              "SET GLOBAL rpl_semi_sync_master_timeout = 4294967295",
              "SET GLOBAL rpl_semi_sync_master_wait_no_slave = ON", "SET GLOBAL rpl_semi_sync_master_enabled = ON"});
}

Result<void> ReplicationSession::ShutOut(const std::vector<std::string>& names) {
  MUSTER_ASSIGN(const auto rows,
                connection_->Query("SELECT User, Host, COALESCE(JSON_VALUE(Priv, '$.account_locked'), 0) FROM "
                                   "mysql.global_priv"));
  for (const std::string& name : options_->peers) {
    const std::string user = UserOf(*options_, name);
    const bool is_out = std::ranges::count(names, name) > 0;
    bool is_known = false;
    for (const Connection::Row& row : rows) {
      if (row[0] != user) continue;
      is_known = true;
      if ((row[2] == "1") == is_out) continue;
      MUSTER_TRY(Run({"ALTER USER " + connection_->Quote(row[0]) + "@" + connection_->Quote(row[1]) + " ACCOUNT " +
                      (is_out ? "LOCK" : "UNLOCK")}));
    }
    if (!is_known && is_out) {
      std::string missing = "the account " + user;
      missing.append(", under which ").append(name);
      missing.append(" receives, is not there; create it on the primary (src/store/mariadb/README.md)");
      return Fail(Unsafe(*options_, missing));
    }
    if (is_out) MUSTER_TRY(EndDumpsOf(user));
  }
  return {};
}

void ReplicationSession::EndSession(const std::string& id) {
  // It may have ended by itself meanwhile, which is an error of KILL.
  [[maybe_unused]] const Result<void> ended = connection_->Execute("KILL CONNECTION " + id);
}

Result<void> ReplicationSession::EndDumpsOf(const std::string& user) {
  for (int i = 0; i < kEndLooksMax; ++i) {
    MUSTER_ASSIGN(const auto rows, connection_->Query("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = " +
                                                      connection_->Quote(user)));
    if (rows.empty()) return {};
    for (const Connection::Row& row : rows) EndSession(row[0]);
    MUSTER_TRY(connection_->Query("SELECT SLEEP(0.01)"));
  }
  return Fail(Reason::kWritesUnavailable, options_->name + ": the connections of " + user + " do not end");
}

}  // namespace muster::mariadb
