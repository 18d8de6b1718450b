#include "store/mariadb/opening.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <limits>
#include <memory>
#include <thread>
#include <utility>

#include "base/encoding.h"
#include "domain/id_allocator.h"
#include "store/mariadb/server_settings.h"
#include "store/mariadb/tables.h"

namespace muster::mariadb {
namespace {

// A statement of a migration may take as long; so may whoever waits for it.
constexpr Duration kMigrationTimeout = std::chrono::minutes(10);
// Between two looks at a primary that cannot be reached.
constexpr Duration kOpenAgainAfter = std::chrono::milliseconds(100);

Result<Pii<std::string>> ReadPassword(const std::string& path) {
  if (path.empty()) return Pii<std::string>();
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) {
    return Fail(Reason::kInternal, "cannot read a line from store.mariadb.password_file = " + path +
                                       ": write the password into it, and make it readable for this user alone");
  }
  return Pii(std::move(line));
}

// Connections whose statements may take long.
Result<std::vector<std::unique_ptr<Connection>>> ConnectAll(const std::vector<SessionSettings>& sessions) {
  std::vector<std::unique_ptr<Connection>> connections;
  for (const SessionSettings& session : sessions) {
    SessionSettings patient = session;
    patient.timeouts.statement = kMigrationTimeout;
    MUSTER_ASSIGN(connections.emplace_back(), OpenPrimary(patient, Use::kWrite));
  }
  return connections;
}

Replication ReplicationOf(const MariadbOptions& options, std::size_t group) {
  if (options.groups.empty()) return Replication::kGoverned;
  return options.groups[group].replicas.empty() ? Replication::kNone : Replication::kByHand;
}

// The unsafe ones, a line each.
Result<std::string> FindUnsafe(Connection& connection, Replication replication,
                               const MariadbDependencies& dependencies) {
  MUSTER_ASSIGN(const ServerSettings settings, ReadServerSettings(connection, *dependencies.clock));
  std::string unsafe;
  for (const SettingFinding& finding : CheckServerSettings(settings, replication)) {
    dependencies.logger->Warning("a setting of a database server",
                                 {{"server", connection.where()}, {"finding", finding.Describe()}});
    if (finding.is_unsafe) unsafe += "\n  " + finding.Describe();
  }
  return unsafe;
}

Result<void> RefuseUnsafe(Connection& connection, Replication replication, const MariadbOptions& options,
                          const MariadbDependencies& dependencies) {
  MUSTER_ASSIGN(const std::string unsafe, FindUnsafe(connection, replication, dependencies));
  if (unsafe.empty() || options.allow_unsafe_settings) return {};
  return Fail(Reason::kInternal, connection.where() +
                                     " has settings under which acknowledged writes can be lost. Change them, or set "
                                     "store.mariadb.allow_unsafe_settings = true for data that may be lost:" +
                                     unsafe);
}

// Numbers of imports are of a space of their own.
Result<std::int64_t> ReadNewestNumber(Connection& connection) {
  std::int64_t newest = 0;
  for (const char* const table : {"member", "operation"}) {
    std::int64_t below = std::numeric_limits<std::int64_t>::max();
    for (bool is_found = false; !is_found;) {
      MUSTER_ASSIGN(const std::int64_t id,
                    connection.ReadInteger("SELECT COALESCE(MAX(id), 0) FROM " + std::string(table) + " WHERE id < " +
                                           std::to_string(below)));
      is_found = !IdAllocator::IsOfRange(id);
      if (is_found) newest = std::max(newest, id);
      below = id;
    }
  }
  return newest;
}

SessionSettings SessionOf(const MariadbOptions& options, const Pii<std::string>& password) {
  using std::chrono::milliseconds;
  return {.place = {},
          .account = {options.user, password},
          .database = options.database,
          .timeouts = {.connect = milliseconds(options.connect_timeout_ms),
                       .statement = milliseconds(options.statement_timeout_ms)},
          .lock_wait = milliseconds(options.lock_wait_ms),
          .idle_transaction = milliseconds(options.transaction_timeout_ms)};
}

}  // namespace

Result<std::vector<SessionSettings>> SessionsOf(const MariadbOptions& options, const PlacementSource& placement) {
  MUSTER_TRY(CheckMariadbOptions(options, placement ? GroupsNamed::kByTopology : GroupsNamed::kByOptions));
  MUSTER_ASSIGN(const Pii<std::string> password, ReadPassword(options.password_file));
  std::vector<SessionSettings> sessions;
  if (placement) {
    const auto groups = placement();
    if (!groups || groups->empty() || groups->size() > kShardCount) {
      return Fail(Reason::kWritesUnavailable,
                  "the topology names no groups of databases (1 to 1,024 there may be): name them there first");
    }
    for (std::size_t index = 0; index < groups->size(); ++index) {
      SessionSettings& session = sessions.emplace_back(SessionOf(options, password));
      session.place = GroupPlace(placement, index);
      session.index = static_cast<std::uint32_t>(index);
    }
    return sessions;
  }
  for (const MariadbOptions::GroupRow& row : options.groups) {
    MUSTER_ASSIGN(Endpoint endpoint, Endpoint::Parse(row.primary));
    SessionSettings& session = sessions.emplace_back(SessionOf(options, password));
    session.place = GroupPlace::Fixed(std::move(endpoint));
    session.database = row.database;
    session.index = static_cast<std::uint32_t>(sessions.size() - 1);
  }
  return sessions;
}

Result<std::int64_t> PrepareGroups(std::vector<SessionSettings>& sessions, const ShardMapSource& shards,
                                   const MariadbOptions& options, const MariadbDependencies& dependencies) {
  MUSTER_ASSIGN(const std::vector<std::unique_ptr<Connection>> connections, ConnectAll(sessions));
  for (std::size_t index = 0; index < connections.size(); ++index) {
    MUSTER_TRY(RefuseUnsafe(*connections[index], ReplicationOf(options, index), options, dependencies));
    MUSTER_TRY(CheckTablesVersion(*connections[index], AllMigrations()));
  }
  std::array<std::uint8_t, 16> bytes;
  dependencies.random->Fill(bytes);
  const std::string fresh_id = ToHex(bytes);
  std::string installation_id;
  std::int64_t newest_number = 0;
  for (std::size_t index = 0; index < connections.size(); ++index) {
    MUSTER_TRY(MigrateTables(*connections[index], AllMigrations()));
    const auto number = static_cast<std::uint32_t>(index);
    const std::shared_ptr<const ShardMap> map = shards();
    MUSTER_ASSIGN(installation_id, AdoptDatabase(*connections[index],
                                                 {.installation_id = installation_id,
                                                  .index = number,
                                                  .shards = map->ShardsOf(number),
                                                  .moving = map->moving()},
                                                 fresh_id, *dependencies.keyring, *dependencies.catalog));
    MUSTER_ASSIGN(const std::int64_t newest_here, ReadNewestNumber(*connections[index]));
    newest_number = std::max(newest_number, newest_here);
  }
  for (SessionSettings& session : sessions) {
    if (session.place.moves()) session.installation_id = installation_id;
  }
  return newest_number;
}

void LookAtCopies(const std::vector<SessionSettings>& sessions, const MariadbDependencies& dependencies) {
  for (const SessionSettings& session : sessions) {
    const auto placement = session.place.Now();
    for (const GroupPlacement::Copy& copy : placement->copies) {
      if (placement->primary == copy.endpoint) continue;
      const auto connection = OpenServer(session, copy.endpoint, Use::kRead, session.timeouts);
      const auto looked = connection ? FindUnsafe(**connection, Replication::kGoverned, dependencies)
                                     : Result<std::string>(std::unexpected(connection.error()));
      if (looked) continue;
      dependencies.logger->Warning("the settings of a copy were not looked at",
                                   {{"server", copy.endpoint.Name()}, {"reason", looked.error().message}});
    }
  }
}

bool Patience::GoesOn(const Error& error) {
  const bool passes = error.reason == Reason::kWritesUnavailable || error.reason == Reason::kOverloaded;
  if (!passes || clock_.Monotonic() + kOpenAgainAfter >= until_) return false;
  if (said_ != error.message) {
    said_ = error.message;
    logger_.Warning("the store waits for a primary", {{"reason", said_}});
  }
  std::this_thread::sleep_for(kOpenAgainAfter);
  return true;
}

}  // namespace muster::mariadb

namespace muster {

Result<std::vector<std::vector<SettingFinding>>> CheckMariadbSettings(const MariadbOptions& options, const Clock& clock,
                                                                      GroupsNamed named) {
  MUSTER_ASSIGN(const std::vector<mariadb::SessionSettings> sessions, mariadb::SessionsOf(options, nullptr));
  std::vector<std::vector<SettingFinding>> findings;
  for (std::size_t index = 0; index < sessions.size(); ++index) {
    MUSTER_ASSIGN(const std::unique_ptr<mariadb::Connection> connection,
                  mariadb::OpenPrimary(sessions[index], mariadb::Use::kRead));
    MUSTER_ASSIGN(const mariadb::ServerSettings settings, mariadb::ReadServerSettings(*connection, clock));
    const mariadb::Replication replication =
        named == GroupsNamed::kByTopology ? mariadb::Replication::kGoverned : mariadb::ReplicationOf(options, index);
    findings.push_back(CheckServerSettings(settings, replication));
  }
  return findings;
}

}  // namespace muster
