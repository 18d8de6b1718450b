#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/identity_catalog.h"
#include "domain/ids.h"
#include "domain/keyring.h"
#include "store/sqlite_database.h"

namespace muster {

// The tables of one file, their versions, and what a file knows of the installation it belongs to.

// The file in which a shard lives. Never changes: the placement of every row depends on it.
inline std::uint32_t FileOfShard(ShardId shard, std::size_t file_count) {
  return static_cast<std::uint32_t>(shard.value() % file_count);
}

// Of every file; fixed when it is made.
inline constexpr std::int64_t kPageBytes = 4096;

// One step forward. Steps are only ever added; what has been released never changes.
struct Migration {
  std::int64_t version;  // that the file has after it
  std::string_view sql;
};
std::span<const Migration> AllMigrations();

// Brings a file to the version of the last migration, each step in a transaction of its own. A file without tables has
// version 0. INTERNAL: the file is newer than this program.
Result<void> Migrate(Database& database, std::span<const Migration> migrations);
// The version of a file that these migrations can bring forward; INTERNAL: it is newer, or not a data file of muster.
Result<std::int64_t> CheckSchemaVersion(Database& database, std::span<const Migration> migrations);
// The version of a file; INTERNAL when it is not a data file of muster.
Result<std::int64_t> ReadSchemaVersion(Database& database);

// The tables of these migrations, up to the file's version, that it lacks or that lack one of their columns.
Result<std::vector<std::string>> MissingTables(Database& database, std::span<const Migration> migrations);
// INTERNAL when there are any.
Result<void> CheckTables(Database& database, std::span<const Migration> migrations);

// Where a file belongs.
struct FileIdentity {
  std::string installation_id;  // 32 hex digits, shared by the files that were made together
  std::int64_t index = 0;
  std::int64_t count = 0;
};
Result<void> WriteFileIdentity(Database& database, const FileIdentity& identity);
Result<FileIdentity> ReadFileIdentity(Database& database);

// Changes of the file up to this position have no place among those of other files: they were made before the files of
// a store shared their positions.
Result<std::int64_t> ReadFeedStart(Database& database);

// Refuses (INTERNAL) a keyring whose hash key is not the one the identities were hashed with, or that lacks a sealing
// key that the file has been opened with before. Changes nothing.
Result<void> CheckKeyring(Database& database, const Keyring& keyring);
// Marks the keys of `keyring`, which has been checked, for later checks.
Result<void> RememberKeyring(Database& database, const Keyring& keyring);
// Refuses (INTERNAL) a kind whose scope or normaliser is not what it was, and the lack of a kind that there was: its
// identities could not be unbound any more. Changes nothing.
Result<void> CheckCatalog(Database& database, const IdentityCatalog& catalog);
Result<void> RememberCatalog(Database& database, const IdentityCatalog& catalog);

}  // namespace muster
