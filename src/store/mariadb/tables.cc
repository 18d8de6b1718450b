#include "store/mariadb/tables.h"

#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "store/meta_rows.h"

namespace muster::mariadb {
namespace {

// Columns are what those of store/schema.cc are; times are microseconds since 1970. The rows of a shard begin with its
// number, so that a shard is one range of each of its tables, and can be copied and deleted as one.
//   meta          `import_range` is the row whose lock lets one process at a time give numbers
//   change        an outbox: committed with the member, copied to the first group's `stream` by the relay, then
//   deleted.
//                 `sequence` is given before the commit; for one member its order is that of its versions
//   stream        of the first group alone, as the next three: the changes of all groups, each at its position
//   relay         one row: who copies, under which term, until when that holds by this server's clock; the last
//   position
//                 that was given, and the last that is forgotten
//   copied        for a group: where the rows lie that were copied last and may still be in its outbox
//   node          which number the processes of a data directory make ids with
//   operation     of the group as a whole: its id says nothing of a shard. Ids are unique, and rows are short-lived:
//                 who moves a shard copies all
//   record        answers are the same, with shard 1024; merges and marks are of the member's shard
//   fence         the epoch that may write here
constexpr std::string_view kVersion1[] = {
    R"sql(CREATE TABLE IF NOT EXISTS meta(name VARCHAR(64) NOT NULL PRIMARY KEY, value VARCHAR(2048) NOT NULL)
  ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin)sql",
    R"sql(INSERT IGNORE INTO meta(name, value) VALUES('import_range', ''), ('probe', ''))sql",
    R"sql(CREATE TABLE IF NOT EXISTS fence(id TINYINT NOT NULL PRIMARY KEY, epoch BIGINT NOT NULL)
  ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin)sql",
    R"sql(INSERT IGNORE INTO fence(id, epoch) VALUES(1, 0))sql",
    R"sql(CREATE TABLE IF NOT EXISTS member(shard SMALLINT NOT NULL, id BIGINT NOT NULL, version BIGINT NOT NULL,
  record MEDIUMBLOB NOT NULL, PRIMARY KEY(shard, id), KEY member_by_id(id))
  ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin)sql",
    R"sql(CREATE TABLE IF NOT EXISTS identity(shard SMALLINT NOT NULL, identity_key BINARY(16) NOT NULL,
  member_id BIGINT NOT NULL, operation_id BIGINT NOT NULL, PRIMARY KEY(shard, identity_key))
  ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin)sql",
    R"sql(CREATE TABLE IF NOT EXISTS history(shard SMALLINT NOT NULL, member_id BIGINT NOT NULL, version BIGINT NOT NULL,
  type TINYINT NOT NULL, time BIGINT NOT NULL, detail MEDIUMBLOB NOT NULL, PRIMARY KEY(shard, member_id, version))
  ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin)sql",
    R"sql(CREATE TABLE IF NOT EXISTS `change`(sequence BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, shard SMALLINT NOT NULL,
  member_id BIGINT NOT NULL, version BIGINT NOT NULL, type TINYINT NOT NULL, time BIGINT NOT NULL)
  ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin)sql",
    R"sql(CREATE TABLE IF NOT EXISTS stream(position BIGINT NOT NULL PRIMARY KEY, group_index SMALLINT NOT NULL,
  sequence BIGINT NOT NULL, member_id BIGINT NOT NULL, version BIGINT NOT NULL, type TINYINT NOT NULL,
  time BIGINT NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin)sql",
    R"sql(CREATE TABLE IF NOT EXISTS relay(id TINYINT NOT NULL PRIMARY KEY, term BIGINT NOT NULL,
  holder VARCHAR(64) NOT NULL, until_time BIGINT NOT NULL, last_position BIGINT NOT NULL, forgotten_to BIGINT NOT NULL)
  ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin)sql",
    R"sql(INSERT IGNORE INTO relay(id, term, holder, until_time, last_position, forgotten_to)
  VALUES(1, 0, '', 0, 0, 0))sql",
    R"sql(CREATE TABLE IF NOT EXISTS copied(group_index SMALLINT NOT NULL PRIMARY KEY, first_position BIGINT NOT NULL,
  last_position BIGINT NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin)sql",
    R"sql(CREATE TABLE IF NOT EXISTS node(node SMALLINT NOT NULL PRIMARY KEY, owner VARCHAR(64) NOT NULL,
  UNIQUE KEY node_by_owner(owner)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin)sql",
    R"sql(CREATE TABLE IF NOT EXISTS operation(id BIGINT NOT NULL PRIMARY KEY, outcome TINYINT NOT NULL,
  time BIGINT NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin)sql",
    R"sql(CREATE TABLE IF NOT EXISTS record(shard SMALLINT NOT NULL, kind TINYINT NOT NULL, record_key VARBINARY(16) NOT NULL,
  time BIGINT NOT NULL, value MEDIUMBLOB NOT NULL, PRIMARY KEY(shard, kind, record_key), KEY record_by_time(kind, time))
  ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin)sql",
    R"sql(CREATE TABLE IF NOT EXISTS import_range(first BIGINT NOT NULL PRIMARY KEY, line_count BIGINT NOT NULL)
  ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin)sql",
};

// Of moves of shards (decision 0029):
//   fence.shards_revision   who writes here knows a topology in which shards last changed at that revision or later
//   fence.move_term         whose copies and deletions count, and nobody else's
//   fence.cleaned_revision  who finds no row here, and knows no map as new as that, does not know whether there is one
constexpr std::string_view kVersion2[] = {
    R"sql(ALTER TABLE fence ADD COLUMN IF NOT EXISTS shards_revision BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS move_term BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS cleaned_revision BIGINT NOT NULL DEFAULT 0)sql",
};

constexpr std::array kMigrations = {Migration{1, kVersion1}, Migration{2, kVersion2}};

// How long a process waits for another one that brings the tables forward. Within the time-out of the connection.
constexpr int kMigrationPatienceSeconds = 60;

Result<MetaRows> ReadMeta(Connection& connection) {
  MUSTER_ASSIGN(const std::vector<Connection::Row> rows,
                connection.Query("SELECT name, value FROM meta ORDER BY name"));
  MetaRows meta;
  for (const Connection::Row& row : rows) meta.emplace_back(row[0], row[1]);
  return meta;
}

std::optional<std::string> Find(const MetaRows& meta, std::string_view name) {
  for (const auto& [row_name, value] : meta) {
    if (row_name == name) return value;
  }
  return std::nullopt;
}

Result<void> WriteMeta(Connection& connection, const std::string& name, const std::string& value) {
  return connection.Execute("INSERT INTO meta(name, value) VALUES(" + connection.Quote(name) + ", " +
                            connection.Quote(value) + ") ON DUPLICATE KEY UPDATE value = VALUES(value)");
}

Result<std::int64_t> ReadVersion(Connection& connection) {
  MUSTER_ASSIGN(const std::vector<Connection::Row> tables,
                connection.Query("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"));
  if (tables.empty()) return 0;
  bool has_meta = false;
  for (const Connection::Row& table : tables) has_meta = has_meta || table[0] == "meta";
  if (!has_meta) {
    return Fail(Reason::kInternal, connection.where() +
                                       " is not a database of muster, for it holds other tables: create another one, "
                                       "and name it in store.mariadb.database");
  }
  MUSTER_ASSIGN(const MetaRows meta, ReadMeta(connection));
  const std::optional<std::string> text = Find(meta, "schema_version");
  if (!text) return 0;  // a crash in the first migration
  std::int64_t version = -1;
  if (std::from_chars(text->data(), text->data() + text->size(), version).ec != std::errc() || version < 0) {
    return Fail(Reason::kInternal,
                connection.where() + ": its schema_version is none; restore all groups from one backup");
  }
  return version;
}

Result<void> RunMigrations(Connection& connection, std::span<const Migration> migrations) {
  // Again, under the lock: another process may have been faster.
  MUSTER_ASSIGN(const std::int64_t version, CheckTablesVersion(connection, migrations));
  for (const Migration& migration : migrations) {
    if (migration.version <= version) continue;
    for (const std::string_view statement : migration.statements) MUSTER_TRY(connection.Execute(statement));
    MUSTER_TRY(WriteMeta(connection, "schema_version", std::to_string(migration.version)));
  }
  return {};
}

Result<void> CheckGroup(const std::string& where, const MetaRows& meta, const GroupIdentity& identity) {
  if (!identity.installation_id.empty() && Find(meta, "installation_id") != identity.installation_id) {
    return Fail(Reason::kInternal, where +
                                       " belongs to another installation than the groups before it: name the "
                                       "databases of one installation in store.mariadb.groups");
  }
  if (Find(meta, "group_index") != std::to_string(identity.index)) {
    return Fail(Reason::kInternal, where + " is group " + Find(meta, "group_index").value_or("?") +
                                       " and is named as group " + std::to_string(identity.index) +
                                       ": name the groups in the order in which they were made");
  }
  const std::string shards = Find(meta, "shards").value_or("");
  const bool is_set = shards.size() == kShardCount && shards.find_first_not_of("01") == std::string::npos;
  if (!is_set || ((ShardSet(shards) ^ identity.shards) & ~identity.moving).any()) {
    return Fail(Reason::kInternal, where +
                                       " holds other shards than the topology says; was the number of groups "
                                       "changed? Name the groups that there were: shards move by `muster topology "
                                       "move-shards` alone");
  }
  return {};
}

}  // namespace

std::span<const Migration> AllMigrations() { return kMigrations; }

Result<std::int64_t> CheckTablesVersion(Connection& connection, std::span<const Migration> migrations) {
  MUSTER_ASSIGN(const std::int64_t version, ReadVersion(connection));
  const std::int64_t newest = migrations.empty() ? 0 : migrations.back().version;
  if (version <= newest) return version;
  return Fail(Reason::kInternal,
              connection.where() + " has schema version " + std::to_string(version) +
                  ", and this muster knows versions up to " + std::to_string(newest) +
                  ": start the newer muster that wrote it, or restore a backup made before the upgrade");
}

Result<void> MigrateTables(Connection& connection, std::span<const Migration> migrations) {
  MUSTER_ASSIGN(const std::int64_t version, CheckTablesVersion(connection, migrations));
  if (migrations.empty() || version == migrations.back().version) return {};
  const std::string lock = "CONCAT('muster.tables.', MD5(DATABASE()))";
  MUSTER_ASSIGN(const std::int64_t locked, connection.ReadInteger("SELECT COALESCE(GET_LOCK(" + lock + ", " +
                                                                  std::to_string(kMigrationPatienceSeconds) + "), 0)"));
  if (locked != 1) {
    return Fail(Reason::kInternal, connection.where() +
                                       ": another process is bringing the tables forward and is not done yet; start "
                                       "again when it is");
  }
  Result<void> done = RunMigrations(connection, migrations);
  MUSTER_TRY(connection.Query("SELECT RELEASE_LOCK(" + lock + ")"));
  return done;
}

Result<std::string> AdoptDatabase(Connection& connection, const GroupIdentity& identity, const std::string& fresh_id,
                                  const Keyring& keyring, const IdentityCatalog& catalog) {
  MUSTER_TRY(connection.Execute("START TRANSACTION"));
  const auto adopt = [&]() -> Result<std::string> {
    MUSTER_TRY(connection.Query("SELECT value FROM meta WHERE name = 'probe' FOR UPDATE"));
    MUSTER_ASSIGN(const MetaRows meta, ReadMeta(connection));
    std::optional<std::string> installation_id = Find(meta, "installation_id");
    if (installation_id) {
      MUSTER_TRY(CheckGroup(connection.where(), meta, identity));
    } else {
      installation_id = identity.installation_id.empty() ? fresh_id : identity.installation_id;
      MUSTER_TRY(WriteMeta(connection, "installation_id", *installation_id));
      MUSTER_TRY(WriteMeta(connection, "group_index", std::to_string(identity.index)));
      MUSTER_TRY(WriteMeta(connection, "shards", identity.shards.to_string()));
    }
    MUSTER_TRY(CheckKeyringRows(connection.where(), meta, keyring));
    MUSTER_TRY(CheckCatalogRows(connection.where(), meta, catalog));
    for (const MetaRows& rows : {KeyringRows(keyring), CatalogRows(catalog)}) {
      for (const auto& [name, value] : rows) {
        if (Find(meta, name) != value) MUSTER_TRY(WriteMeta(connection, name, value));
      }
    }
    MUSTER_TRY(connection.Execute("COMMIT"));
    return *installation_id;
  };
  Result<std::string> adopted = adopt();
  if (!adopted && !connection.is_lost()) MUSTER_TRY(connection.Execute("ROLLBACK"));
  return adopted;
}

}  // namespace muster::mariadb
