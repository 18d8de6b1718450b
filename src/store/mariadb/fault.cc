#include "store/mariadb/fault.h"

#include <errmsg.h>
#include <mysqld_error.h>

#include "base/check.h"

namespace muster::mariadb {
namespace {

std::string WhatToDo(Fault fault) {
  switch (fault) {
    case Fault::kDuplicate:
    case Fault::kConflict:
      return "another transaction was in the way; try again";
    case Fault::kLost:
      return "the server cannot be reached or did not answer in time; is it running, and does the network reach it?";
    case Fault::kReadOnly:
      return "the server is read-only: it is a replica, or a failover is under way; writes return when the topology "
             "names a primary that is writable";
    case Fault::kRefused:
      return "the server refuses the account: check store.mariadb.user (control_user, where databases are watched), "
             "its password file, and its grants (SELECT, INSERT, UPDATE, DELETE; to migrate also CREATE, ALTER, "
             "INDEX; src/store/mariadb/README.md has those of control_user)";
    case Fault::kBusy:
      return "the server takes no more connections: raise its max_connections, or lower store.mariadb.connections";
    case Fault::kFull:
      return "the server has no space left: free some on its disk";
    case Fault::kNoSuchTable:
      return "the database or one of its tables is not there: create the database, or restore a backup";
    case Fault::kNoSource:
      return "the files in which the server keeps what it follows cannot be read: run RESET SLAVE ALL there";
    case Fault::kNone:
    case Fault::kOther:
      return "the server's own log says more; run `muster doctor`";
  }
  MUSTER_UNREACHABLE("a fault outside its enumeration");
}

Reason ReasonOf(Fault fault, bool reads) {
  switch (fault) {
    case Fault::kDuplicate:
    case Fault::kConflict:
    case Fault::kBusy:
      return Reason::kOverloaded;
    case Fault::kLost:
    case Fault::kReadOnly:
    case Fault::kRefused:
    case Fault::kFull:
      return reads ? Reason::kOverloaded : Reason::kWritesUnavailable;
    case Fault::kNoSuchTable:
    case Fault::kNoSource:
    case Fault::kNone:
    case Fault::kOther:
      return Reason::kInternal;
  }
  MUSTER_UNREACHABLE("a fault outside its enumeration");
}

}  // namespace

Fault FaultOf(unsigned code) {
  switch (code) {
    case 0:
      return Fault::kNone;
    case ER_DUP_ENTRY:
      return Fault::kDuplicate;
    case ER_LOCK_DEADLOCK:
    case ER_LOCK_WAIT_TIMEOUT:
    case ER_CHECKREAD:  // with innodb_snapshot_isolation: the row has changed since the snapshot
      return Fault::kConflict;
    case CR_CONNECTION_ERROR:
    case CR_CONN_HOST_ERROR:
    case CR_UNKNOWN_HOST:
    case CR_SERVER_GONE_ERROR:
    case CR_SERVER_HANDSHAKE_ERR:
    case CR_SERVER_LOST:
    case CR_SERVER_LOST_EXTENDED:
    case CR_MALFORMED_PACKET:
    case CR_SSL_CONNECTION_ERROR:
    case CR_ERR_NET_READ:
    case CR_ERR_NET_WRITE:
    case CR_COMMANDS_OUT_OF_SYNC:
    case ER_SERVER_SHUTDOWN:
    case ER_CONNECTION_KILLED:
    case ER_QUERY_INTERRUPTED:
    case ER_STATEMENT_TIMEOUT:
      return Fault::kLost;
    case ER_OPTION_PREVENTS_STATEMENT:
    case ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION:
    case ER_READ_ONLY_MODE:
      return Fault::kReadOnly;
    case ER_ACCESS_DENIED_ERROR:
    case ER_DBACCESS_DENIED_ERROR:
    case ER_TABLEACCESS_DENIED_ERROR:
    case ER_COLUMNACCESS_DENIED_ERROR:
    case ER_SPECIFIC_ACCESS_DENIED_ERROR:
    case ER_HOST_NOT_PRIVILEGED:
    case ER_ACCESS_DENIED_NO_PASSWORD_ERROR:
      return Fault::kRefused;
    case ER_CON_COUNT_ERROR:
    case ER_USER_LIMIT_REACHED:
    case ER_HOST_IS_BLOCKED:
    case ER_TOO_MANY_USER_CONNECTIONS:
      return Fault::kBusy;
    case ER_DISK_FULL:
    case ER_RECORD_FILE_FULL:
    case ER_ERROR_ON_WRITE:
      return Fault::kFull;
    case ER_BAD_DB_ERROR:
    case ER_NO_SUCH_TABLE:
    case ER_BAD_FIELD_ERROR:
      return Fault::kNoSuchTable;
    case ER_MASTER_INFO:
      return Fault::kNoSource;
    default:
      return Fault::kOther;
  }
}

Error DescribeFault(Fault fault, const std::string& where, unsigned code, bool reads) {
  Error error{ReasonOf(fault, reads), where + ": " + WhatToDo(fault) + " (error " + std::to_string(code) + ")"};
  if (error.reason != Reason::kInternal) error.retry_after_ms = 1000;
  return error;
}

}  // namespace muster::mariadb
