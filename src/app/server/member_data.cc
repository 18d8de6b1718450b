#include "app/server/member_data.h"

#include <array>
#include <string>
#include <utility>

#include "app/files.h"
#include "base/encoding.h"
#include "store/mariadb/mariadb_store.h"
#include "store/sqlite_store.h"

namespace muster {
namespace {

Outcome<bool> HasDataFiles(const std::string& directory) {
  if (!FileExists(directory)) return false;
  const Result<std::int64_t> count = CountDataFiles(directory);
  if (!count) return Fails(count.error());
  return *count > 0;
}

// Names the directory to the groups; made before anything is written there.
std::string NodePath(const ServerOptions& options) { return options.data_directory + "/node"; }

}  // namespace

Outcome<std::string> EnsureNode(const ServerOptions& options, Random& random) {
  constexpr std::size_t kDigits = 32;
  const std::string path = NodePath(options);
  if (FileExists(path)) {
    MUSTER_ASSIGN(std::string text, ReadSmallFile(path, kDigits + 1));
    if (text.ends_with('\n')) text.pop_back();
    if (text.size() == kDigits && text.find_first_not_of("0123456789abcdef") == std::string::npos) return text;
    return Fails(ExitCode::kFailure, path +
                                         " does not name a data directory any more: restore it from a backup, or "
                                         "delete it, and the directory gets a new number for its ids");
  }
  std::array<std::uint8_t, kDigits / 2> bytes;
  random.Fill(bytes);
  std::string owner = ToHex(bytes);
  MUSTER_TRY(WriteFileDurably(path, owner + "\n", 0600));
  return owner;
}

namespace {

Outcome<OpenedStore> OpenSqlite(const ServerOptions& options, const StoreSurroundings& around) {
  SqliteOptions sqlite = options.sqlite;
  sqlite.answers = options.answers;
  auto store = SqliteStore::Open(options.data_directory, sqlite,
                                 {.keyring = &around.keyring,
                                  .clock = &around.clock,
                                  .random = &around.random,
                                  .logger = &around.logger,
                                  .metrics = &around.metrics,
                                  .floor = &around.floor,
                                  .cache = &around.cache,
                                  .catalog = &around.catalog});
  if (!store) return Fails(store.error());
  return OpenedStore{.lock = nullptr, .store = *std::move(store)};
}

Outcome<OpenedStore> OpenMariadb(const ServerOptions& options, const StoreSurroundings& around) {
  auto lock = DirectoryLock::Acquire(options.data_directory);
  if (!lock) return Fails(lock.error());
  MUSTER_ASSIGN(const std::string owner, EnsureNode(options, around.random));
  MariadbDependencies dependencies{.keyring = &around.keyring,
                                   .clock = &around.clock,
                                   .random = &around.random,
                                   .logger = &around.logger,
                                   .metrics = &around.metrics,
                                   .floor = &around.floor,
                                   .cache = &around.cache,
                                   .catalog = &around.catalog,
                                   .node_owner = owner};
  if (around.centers != nullptr) {
    dependencies.lease = around.centers->lease();
    dependencies.placement = around.centers->placement();
    dependencies.shards = around.centers->shards();
    dependencies.mover = around.centers->mover();
    dependencies.listener = around.centers->listener();
  }
  MariadbOptions mariadb = options.mariadb;
  mariadb.answers = options.answers;
  auto store = MariadbStore::Open(mariadb, dependencies);
  if (!store) return Fails(store.error());
  return OpenedStore{.lock = std::make_unique<DirectoryLock>(*std::move(lock)), .store = *std::move(store)};
}

}  // namespace

Outcome<void> CheckMembersAreThere(const ServerOptions& options) {
  const std::string& directory = options.data_directory;
  MUSTER_ASSIGN(const bool has_files, HasDataFiles(directory));
  if (options.is_mariadb()) {
    if (!has_files) return {};
    return Fails(ExitCode::kFailure, directory +
                                         " holds members in SQLite files, and store.kind is mariadb: take another "
                                         "--data for this server. To move the members there, export them from the one "
                                         "and import them into the other");
  }
  if (has_files) return {};
  if (FileExists(NodePath(options))) {
    return Fails(ExitCode::kFailure, "the members of " + directory +
                                         " are on MariaDB, and store.kind is sqlite: give the --config that says "
                                         "store.kind = \"mariadb\", or another --data");
  }
  // The topology file is made after the data, so it cannot be there alone unless the data was lost.
  const std::string topology = options.topology_path();
  if (!FileExists(topology)) return {};
  return Fails(ExitCode::kFailure, "the data files of " + directory +
                                       " (muster-0.db, ...) are gone: put them back, or restore all files from one "
                                       "backup. To begin with no members and the same callers, move " +
                                       topology +
                                       " away, start once, stop, put it back, and run `muster keys replace-admin`");
}

Outcome<Keyring> OpenKeyring(const ServerOptions& options, Random& random) {
  const std::string path = options.keyring_path();
  if (!FileExists(path)) {
    MUSTER_ASSIGN(const bool has_files, HasDataFiles(options.data_directory));
    if (has_files || FileExists(NodePath(options))) {
      return Fails(ExitCode::kFailure, options.data_directory + " holds data but its keyring is gone (" + path +
                                           "); put the copy back that you kept, for without it nothing can be read");
    }
    auto created = Keyring::Create(path, random);
    if (created) return std::move(*created);
    // Another server may have been faster; its lock on the store is what stops this one.
    if (!FileExists(path)) return Fails(created.error());
  }
  auto loaded = Keyring::Load(path);
  if (!loaded) return Fails(loaded.error());
  return std::move(*loaded);
}

Outcome<std::unique_ptr<TopologyStore>> OpenTopologyStore(const ServerOptions& options, const Clock& clock,
                                                          Random& random) {
  if (!options.center.is_etcd()) {
    auto file = OpenTopologyFile(options.topology_path());
    if (!file) return Fails(file.error());
    return *std::move(file);
  }
  auto etcd = OpenTopologyEtcd(options.center.etcd, {.clock = &clock, .random = &random});
  if (!etcd) return Fails(etcd.error());
  return std::unique_ptr<TopologyStore>(*std::move(etcd));
}

Outcome<OpenedStore> OpenMemberStore(const ServerOptions& options, const StoreSurroundings& surroundings) {
  return options.is_mariadb() ? OpenMariadb(options, surroundings) : OpenSqlite(options, surroundings);
}

}  // namespace muster
