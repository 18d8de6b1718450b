#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "domain/identity_catalog.h"
#include "domain/keyring.h"
#include "store/mariadb/connection.h"
#include "topology/shard_map.h"

namespace muster::mariadb {

// The tables of one group's database, their versions, and what the database knows of the installation it belongs to.

// Rows of record and change that belong to no shard have this one.
inline constexpr std::int64_t kNoShard = 1024;

// One step forward: statements, each of which may be run again (MariaDB commits each by itself, so that a crash can
// leave a step half done), and which lock no table for longer than a moment. Steps are only ever added; what has been
// released never changes, and what a step adds must not disturb the release before it, which goes on writing meanwhile.
struct Migration {
  std::int64_t version;  // that the database has after it
  std::span<const std::string_view> statements;
};
std::span<const Migration> AllMigrations();

// The version of a database that these migrations can bring forward; 0 without tables. INTERNAL: it is newer, or holds
// tables of something else.
Result<std::int64_t> CheckTablesVersion(Connection& connection, std::span<const Migration> migrations);

// Brings the database to the version of the last migration. Of several processes one does so at a time; the others
// wait for it. Errors as CheckTablesVersion.
Result<void> MigrateTables(Connection& connection, std::span<const Migration> migrations);

// Where a database belongs.
struct GroupIdentity {
  std::string installation_id;  // 32 hex digits, shared by the groups that were made together; empty: whichever it has
  std::uint32_t index = 0;
  ShardSet shards;       // that live here
  ShardSet moving = {};  // that may have come or gone since the database was last told
};

// Of a database that belongs to nobody yet makes one of `identity`, with `fresh_id` where that names no installation;
// else holds it to that: INTERNAL, saying what to do, when it is of another installation, has another index or other
// shards, was written with another keyring, or lacks an identity kind. Then remembers the keys and kinds of today.
// Answers the id of the installation. Of several processes that begin with an empty database the first one decides.
Result<std::string> AdoptDatabase(Connection& connection, const GroupIdentity& identity, const std::string& fresh_id,
                                  const Keyring& keyring, const IdentityCatalog& catalog);

}  // namespace muster::mariadb
