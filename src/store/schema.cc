#include "store/schema.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/check.h"
#include "store/meta_rows.h"

namespace muster {
namespace {

// "MSTR" in the header of each file, so that `file` and we can tell it from any other SQLite database.
constexpr std::int64_t kApplicationId = 0x4D535452;

// Integer columns are what the strong types of domain/ids.h hold; times are microseconds since 1970.
//   member     the truth, with `record` as in proto/muster/storage/v1/record.proto
//   identity   lookup rows: for whom an identity is reserved, and by which operation
//   change     the stream, in the order of commits; `members` is how many the file holds after the change
//   history    the same changes by member, with what the API tells of them
//   operation  outcomes that decide races of the binding protocol
constexpr std::string_view kVersion1 = R"sql(
  CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE member(id INTEGER PRIMARY KEY, version INTEGER NOT NULL, record BLOB NOT NULL) STRICT;
  CREATE TABLE identity(key BLOB PRIMARY KEY, member_id INTEGER NOT NULL, operation_id INTEGER NOT NULL)
    STRICT, WITHOUT ROWID;
  CREATE TABLE change(position INTEGER PRIMARY KEY, member_id INTEGER NOT NULL, version INTEGER NOT NULL,
    type INTEGER NOT NULL, time INTEGER NOT NULL, members INTEGER NOT NULL) STRICT;
  CREATE TABLE history(member_id INTEGER NOT NULL, version INTEGER NOT NULL, type INTEGER NOT NULL,
    time INTEGER NOT NULL, detail BLOB NOT NULL, PRIMARY KEY(member_id, version)) STRICT, WITHOUT ROWID;
  CREATE TABLE operation(id INTEGER PRIMARY KEY, outcome INTEGER NOT NULL, time INTEGER NOT NULL) STRICT;
)sql";

//   import_range   in the first file: what ports/import_ranges.h gave
//   change.number  the newest number of an operation in this and all earlier changes of the file: new ones are above it
constexpr std::string_view kVersion2 = R"sql(
  CREATE TABLE import_range(first INTEGER PRIMARY KEY, lines INTEGER NOT NULL) STRICT;
  ALTER TABLE change ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
)sql";

//   record           what is committed with a write beside member and change, by kind (ports/shard_store.h)
//   meta.feed_start  changes up to this position were numbered by their file alone
constexpr std::string_view kVersion3 = R"sql(
  CREATE TABLE record(kind INTEGER NOT NULL, key BLOB NOT NULL, time INTEGER NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY(kind, key)) STRICT, WITHOUT ROWID;
  CREATE INDEX record_by_time ON record(kind, time);
  INSERT INTO meta(name, value) SELECT 'feed_start', CAST(coalesce(max(position), 0) AS TEXT) FROM change;
)sql";

constexpr std::array kMigrations = {Migration{1, kVersion1}, Migration{2, kVersion2}, Migration{3, kVersion3}};

Result<std::optional<std::string>> ReadMeta(Database& database, const std::string& name) {
  MUSTER_ASSIGN(Statement select, database.Prepare("SELECT value FROM meta WHERE name = ?1"));
  select.BindText(1, name);
  MUSTER_ASSIGN(const bool found, select.Step());
  if (!found) return std::optional<std::string>();
  return std::optional(select.Text(0));
}

Result<void> WriteMeta(Database& database, const std::string& name, const std::string& value) {
  MUSTER_ASSIGN(Statement insert, database.Prepare("INSERT OR REPLACE INTO meta(name, value) VALUES(?1, ?2)"));
  return insert.BindText(1, name).BindText(2, value).Run();
}

Result<void> WriteMetaRows(Database& database, const MetaRows& rows) {
  for (const auto& [name, value] : rows) MUSTER_TRY(WriteMeta(database, name, value));
  return {};
}

// Name and value of all whose name begins with `prefix`.
Result<MetaRows> ReadMetaUnder(Database& database, const std::string& prefix) {
  MUSTER_ASSIGN(Statement select,
                database.Prepare("SELECT name, value FROM meta WHERE substr(name, 1, length(?1)) = ?1 "
                                 "ORDER BY name"));
  select.BindText(1, prefix);
  MetaRows rows;
  for (;;) {
    MUSTER_ASSIGN(const bool found, select.Step());
    if (!found) return rows;
    rows.emplace_back(select.Text(0), select.Text(1));
  }
}

Result<std::int64_t> ReadMetaNumber(Database& database, const std::string& name) {
  MUSTER_ASSIGN(const std::optional<std::string> text, ReadMeta(database, name));
  std::int64_t number = -1;
  if (text) {
    const char* const end = text->data() + text->size();
    if (std::from_chars(text->data(), end, number).ptr != end) number = -1;
  }
  if (number < 0) {
    return Fail(Reason::kInternal, database.path() + ": its meta table lacks " + name +
                                       ": the file is damaged; restore all files from one backup");
  }
  return number;
}

// A file without tables. Files of muster get their names when they are whole, so that no crash leaves one.
std::unexpected<Error> Empty(const Database& database) {
  return Fail(Reason::kInternal, database.path() +
                                     " is not a data file of muster, for it is empty: restore all files from one "
                                     "backup, or move it away when there never were data");
}

// Table and column of every column of every table.
Result<std::set<std::pair<std::string, std::string>>> ListColumns(Database& database) {
  MUSTER_ASSIGN(Statement select, database.Prepare("SELECT s.name, c.name FROM sqlite_schema s, "
                                                   "pragma_table_info(s.name) c WHERE s.type = 'table'"));
  std::set<std::pair<std::string, std::string>> columns;
  for (;;) {
    MUSTER_ASSIGN(const bool found, select.Step());
    if (!found) return columns;
    columns.emplace(select.Text(0), select.Text(1));
  }
}

std::unexpected<Error> NotOurs(const Database& database) {
  return Fail(Reason::kInternal,
              database.path() + " is not a data file of muster: move it away, or choose another --data directory");
}

}  // namespace

std::span<const Migration> AllMigrations() { return kMigrations; }

Result<std::int64_t> ReadSchemaVersion(Database& database) {
  MUSTER_ASSIGN(const std::int64_t application_id, database.ReadInteger("PRAGMA application_id"));
  if (application_id != kApplicationId) {
    MUSTER_ASSIGN(const std::int64_t tables, database.ReadInteger("SELECT count(*) FROM sqlite_schema"));
    if (application_id != 0 || tables != 0) return NotOurs(database);
    return 0;
  }
  return ReadMetaNumber(database, "schema_version");
}

Result<std::int64_t> CheckSchemaVersion(Database& database, std::span<const Migration> migrations) {
  MUSTER_ASSIGN(const std::int64_t version, ReadSchemaVersion(database));
  const std::int64_t newest = migrations.empty() ? 0 : migrations.back().version;
  if (version <= newest) return version;
  return Fail(Reason::kInternal,
              database.path() + " has schema version " + std::to_string(version) +
                  ", and this muster knows versions up to " + std::to_string(newest) +
                  ": start the newer muster that wrote it, or restore a backup made before the upgrade");
}

Result<std::vector<std::string>> MissingTables(Database& database, std::span<const Migration> migrations) {
  MUSTER_ASSIGN(const std::int64_t version, CheckSchemaVersion(database, migrations));
  MUSTER_ASSIGN(Database model, Database::Open(":memory:", Database::Mode::kCreate));
  for (const Migration& migration : migrations) {
    if (migration.version <= version) MUSTER_TRY(model.Execute(std::string(migration.sql)));
  }
  MUSTER_ASSIGN(const auto expected, ListColumns(model));
  MUSTER_ASSIGN(const auto present, ListColumns(database));
  std::vector<std::string> missing;
  for (const auto& [table, column] : expected) {
    if (present.contains({table, column}) || std::ranges::find(missing, table) != missing.end()) continue;
    missing.push_back(table);
  }
  return missing;
}

Result<void> CheckTables(Database& database, std::span<const Migration> migrations) {
  MUSTER_ASSIGN(const std::vector<std::string> missing, MissingTables(database, migrations));
  if (missing.empty()) return {};
  return Fail(Reason::kInternal, database.path() + " lacks its table " + missing[0] +
                                     " or a column of it: the file is damaged; run `muster doctor`, and restore all "
                                     "files from one backup");
}

Result<void> Migrate(Database& database, std::span<const Migration> migrations) {
  MUSTER_ASSIGN(const std::int64_t version, CheckSchemaVersion(database, migrations));
  for (const Migration& migration : migrations) {
    if (migration.version <= version) continue;
    MUSTER_TRY(database.Execute("BEGIN IMMEDIATE"));
    const auto apply = [&]() -> Result<void> {
      MUSTER_TRY(database.Execute(std::string(migration.sql)));
      MUSTER_TRY(database.Execute("PRAGMA application_id = " + std::to_string(kApplicationId)));
      MUSTER_TRY(WriteMeta(database, "schema_version", std::to_string(migration.version)));
      return database.Execute("COMMIT");
    };
    if (Result<void> applied = apply(); !applied) {
      if (database.InTransaction()) MUSTER_TRY(database.Execute("ROLLBACK"));
      return applied;
    }
  }
  return {};
}

Result<void> WriteFileIdentity(Database& database, const FileIdentity& identity) {
  MUSTER_TRY(WriteMeta(database, "installation_id", identity.installation_id));
  MUSTER_TRY(WriteMeta(database, "file_index", std::to_string(identity.index)));
  return WriteMeta(database, "file_count", std::to_string(identity.count));
}

Result<FileIdentity> ReadFileIdentity(Database& database) {
  MUSTER_ASSIGN(const std::int64_t version, ReadSchemaVersion(database));
  if (version == 0) return Empty(database);
  MUSTER_ASSIGN(std::optional<std::string> installation_id, ReadMeta(database, "installation_id"));
  if (!installation_id) return NotOurs(database);
  MUSTER_ASSIGN(const std::int64_t index, ReadMetaNumber(database, "file_index"));
  MUSTER_ASSIGN(const std::int64_t count, ReadMetaNumber(database, "file_count"));
  return FileIdentity{.installation_id = *std::move(installation_id), .index = index, .count = count};
}

Result<std::int64_t> ReadFeedStart(Database& database) { return ReadMetaNumber(database, "feed_start"); }

Result<void> CheckKeyring(Database& database, const Keyring& keyring) {
  MUSTER_ASSIGN(const MetaRows stored, ReadMetaUnder(database, "keyring"));
  return CheckKeyringRows(database.path(), stored, keyring);
}

Result<void> RememberKeyring(Database& database, const Keyring& keyring) {
  return WriteMetaRows(database, KeyringRows(keyring));
}

Result<void> CheckCatalog(Database& database, const IdentityCatalog& catalog) {
  MUSTER_ASSIGN(const MetaRows stored, ReadMetaUnder(database, "kind."));
  return CheckCatalogRows(database.path(), stored, catalog);
}

Result<void> RememberCatalog(Database& database, const IdentityCatalog& catalog) {
  return WriteMetaRows(database, CatalogRows(catalog));
}

}  // namespace muster
