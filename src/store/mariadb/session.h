#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "store/mariadb/connection.h"

namespace muster::mariadb {

struct SessionSettings {
  Endpoint endpoint;
  Account account;
  std::string database;
  Timeouts timeouts;
  Duration lock_wait = std::chrono::seconds(2);  // whole seconds, one at least
  // A transaction whose process says nothing for so long is rolled back by the server (whole seconds, one at least):
  // rows that a process which stands still has locked are not locked for ever.
  Duration idle_transaction = std::chrono::seconds(15);
};

// A connection that runs transactions, with their statements. Its transactions begin with their first statement
// (autocommit is off), read what is committed (READ COMMITTED) and lock what they read.
//
// `name` is a lock that the server holds for the session and lets go of when the session has ended, and with it its
// last transaction: so that others can ask whether it has.
struct Session {
  static Result<std::unique_ptr<Session>> Open(const SessionSettings& settings, const std::string& name);

  // False: that session has ended.
  Result<bool> IsAlive(const std::string& other);
  // The server's clock.
  Result<Timestamp> ReadClock();

  std::unique_ptr<Connection> connection;
  std::string name;
  Statement select_fence;
  Statement select_member, insert_member, replace_member, insert_history, insert_change;
  Statement select_lookup, insert_lookup, replace_lookup, delete_lookup;
  Statement select_operation, insert_operation, replace_operation;
  Statement select_record, insert_record, replace_record, delete_record;

 private:
  Result<void> Prepare();
};

}  // namespace muster::mariadb
