#include "store/mariadb/session.h"

#include <algorithm>

namespace muster::mariadb {
namespace {

std::int64_t WholeSeconds(Duration duration) {
  return std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(duration).count());
}

}  // namespace

Result<std::unique_ptr<Connection>> OpenServer(const SessionSettings& settings, const Endpoint& endpoint, Use use,
                                               const Timeouts& timeouts) {
  MUSTER_ASSIGN(std::unique_ptr<Connection> connection,
                Connection::Open(endpoint, settings.account, settings.database, timeouts, use));
  if (settings.installation_id.empty()) return connection;
  MUSTER_ASSIGN(
      const std::int64_t agreed,
      connection->ReadInteger("SELECT COUNT(*) FROM meta WHERE (name = 'installation_id' AND value = " +
                              connection->Quote(settings.installation_id) + ") OR (name = 'group_index' AND value = " +
                              connection->Quote(std::to_string(settings.index)) + ")"));
  if (agreed == 2) return connection;
  return Fail(Reason::kInternal, connection->where() +
                                     " does not hold the rows of this group, and the topology names it as one that "
                                     "does: correct its address there");
}

Result<std::unique_ptr<Connection>> OpenPrimary(const SessionSettings& settings, Use use) {
  MUSTER_ASSIGN(const Endpoint endpoint, settings.place.Primary(use));
  MUSTER_ASSIGN(std::unique_ptr<Connection> connection, OpenServer(settings, endpoint, use, settings.timeouts));
  if (settings.place.moves()) {
    connection->GiveUpWhen([place = settings.place, endpoint] { return !place.IsPrimary(endpoint); });
  }
  return connection;
}

Result<std::unique_ptr<Session>> Session::Open(const SessionSettings& settings, const std::string& name) {
  auto session = std::make_unique<Session>();
  session->name = name;
  MUSTER_ASSIGN(session->connection, OpenPrimary(settings, Use::kWrite));
  Connection& connection = *session->connection;
  const std::int64_t lock_wait = WholeSeconds(settings.lock_wait);
  MUSTER_TRY(connection.Execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"));
  MUSTER_TRY(connection.Execute(
      "SET SESSION autocommit = 0, innodb_lock_wait_timeout = " + std::to_string(lock_wait) +
      ", lock_wait_timeout = " + std::to_string(lock_wait) + ", sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'" +
      // MySQL has no such variable, and takes this for a comment.
      " /*M! , idle_transaction_timeout = " + std::to_string(WholeSeconds(settings.idle_transaction)) + " */"));
  MUSTER_TRY(connection.ReadInteger("SELECT GET_LOCK(" + connection.Quote(name) + ", 0)"));
  MUSTER_TRY(session->Prepare());
  return session;
}

Result<void> Session::Prepare() {
  Connection& sql = *connection;
  MUSTER_ASSIGN(select_fence, sql.Prepare("SELECT epoch, shards_revision FROM fence WHERE id = 1 LOCK IN SHARE MODE"));

  MUSTER_ASSIGN(select_member, sql.Prepare("SELECT version, record FROM member WHERE shard = ? AND id = ? FOR UPDATE"));
  const std::string insert_into_member = "INSERT INTO member(shard, id, version, record) VALUES(?, ?, ?, ?)";
  MUSTER_ASSIGN(insert_member, sql.Prepare(insert_into_member));
  MUSTER_ASSIGN(
      replace_member,
      sql.Prepare(insert_into_member + " ON DUPLICATE KEY UPDATE version = VALUES(version), record = VALUES(record)"));
  MUSTER_ASSIGN(insert_history, sql.Prepare("INSERT INTO history(shard, member_id, version, type, time, detail) "
                                            "VALUES(?, ?, ?, ?, ?, ?)"));
  MUSTER_ASSIGN(insert_change, sql.Prepare("INSERT INTO `change`(shard, member_id, version, type, time) "
                                           "VALUES(?, ?, ?, ?, ?)"));

  MUSTER_ASSIGN(select_lookup, sql.Prepare("SELECT member_id, operation_id FROM identity "
                                           "WHERE shard = ? AND identity_key = ? FOR UPDATE"));
  const std::string insert_into_identity =
      "INSERT INTO identity(shard, identity_key, member_id, operation_id) VALUES(?, ?, ?, ?)";
  MUSTER_ASSIGN(insert_lookup, sql.Prepare(insert_into_identity));
  MUSTER_ASSIGN(replace_lookup,
                sql.Prepare(insert_into_identity + " ON DUPLICATE KEY UPDATE member_id = VALUES(member_id), "
                                                   "operation_id = VALUES(operation_id)"));
  MUSTER_ASSIGN(delete_lookup, sql.Prepare("DELETE FROM identity WHERE shard = ? AND identity_key = ?"));

  MUSTER_ASSIGN(select_operation, sql.Prepare("SELECT outcome FROM operation WHERE id = ? FOR UPDATE"));
  const std::string insert_into_operation = "INSERT INTO operation(id, outcome, time) VALUES(?, ?, ?)";
  MUSTER_ASSIGN(insert_operation, sql.Prepare(insert_into_operation));
  MUSTER_ASSIGN(replace_operation,
                sql.Prepare(insert_into_operation + " ON DUPLICATE KEY UPDATE outcome = VALUES(outcome), "
                                                    "time = VALUES(time)"));

  MUSTER_ASSIGN(select_record, sql.Prepare("SELECT value FROM record WHERE shard = ? AND kind = ? AND record_key = ? "
                                           "FOR UPDATE"));
  const std::string insert_into_record =
      "INSERT INTO record(shard, kind, record_key, time, value) VALUES(?, ?, ?, ?, ?)";
  MUSTER_ASSIGN(insert_record, sql.Prepare(insert_into_record));
  MUSTER_ASSIGN(replace_record, sql.Prepare(insert_into_record +
                                            " ON DUPLICATE KEY UPDATE time = VALUES(time), value = VALUES(value)"));
  MUSTER_ASSIGN(delete_record, sql.Prepare("DELETE FROM record WHERE shard = ? AND kind = ? AND record_key = ?"));
  return {};
}

Result<bool> Session::IsAlive(const std::string& other) {
  MUSTER_ASSIGN(const std::int64_t is_free,
                connection->ReadInteger("SELECT COALESCE(IS_FREE_LOCK(" + connection->Quote(other) + "), 0)"));
  return is_free == 0;
}

Result<Timestamp> Session::ReadClock() {
  MUSTER_ASSIGN(const std::int64_t micros,
                connection->ReadInteger("SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)"));
  return Timestamp(Duration(micros));
}

}  // namespace muster::mariadb
