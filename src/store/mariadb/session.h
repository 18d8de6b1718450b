#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "store/mariadb/connection.h"
#include "store/mariadb/placement.h"

namespace muster::mariadb {

struct SessionSettings {
  GroupPlace place;
  Account account;
  std::string database;
  Timeouts timeouts;
  Duration lock_wait = std::chrono::seconds(2);  // whole seconds, one at least
  // A transaction whose process says nothing for so long is rolled back by the server (whole seconds, one at least):
  // rows that a process which stands still has locked are not locked for ever.
  Duration idle_transaction = std::chrono::seconds(15);
  // Where a group moves, what the rows of each server must say of themselves (tables.h); empty: not looked at.
  std::string installation_id = {};
  std::uint32_t index = 0;
};

// A connection to this server, which has to hold the group's rows: INTERNAL. Other errors as of Connection::Open.
Result<std::unique_ptr<Connection>> OpenServer(const SessionSettings& settings, const Endpoint& endpoint, Use use,
                                               const Timeouts& timeouts);
// The same to where the primary is now; its calls are given up when it moves. Also errors of GroupPlace::Primary.
Result<std::unique_ptr<Connection>> OpenPrimary(const SessionSettings& settings, Use use);

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
