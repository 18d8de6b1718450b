#include "store/mariadb/mariadb_store.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/encoding.h"
#include "domain/id_allocator.h"
#include "store/mariadb/archive.h"
#include "store/mariadb/change_feed.h"
#include "store/mariadb/group.h"
#include "store/mariadb/node.h"
#include "store/mariadb/reader.h"
#include "store/mariadb/relay.h"
#include "store/mariadb/stream.h"
#include "store/mariadb/tables.h"
#include "store/mariadb/upkeep.h"

namespace muster {
namespace {

using mariadb::Archive;
using mariadb::Connection;
using mariadb::Group;
using mariadb::ReaderPool;
using mariadb::SessionSettings;
using mariadb::Transaction;

// A statement of a migration may take as long; so may whoever waits for it.
constexpr Duration kMigrationTimeout = std::chrono::minutes(10);

// What a store is made of. In the order of their dependencies.
struct Parts {
  std::unique_ptr<ShardMap> shard_map;
  std::unique_ptr<mariadb::Node> node;
  std::unique_ptr<Archive> archive;
  std::unique_ptr<ChangeWakes> wakes;
  std::unique_ptr<mariadb::StreamFeed> feed;
  std::unique_ptr<mariadb::ChangeRelay> relay;
  std::vector<std::unique_ptr<Group>> groups = {};
  std::unique_ptr<ReaderPool> readers = {};
};

class MariadbStoreImpl final : public MariadbStore,
                               public ShardStore,
                               public ShardUpkeep,
                               public ImportRanges,
                               public ChangeKeeper {
 public:
  MariadbStoreImpl(const MariadbDependencies& dependencies, Parts parts, std::int64_t newest_number)
      : dependencies_(dependencies),
        reader_metrics_(*dependencies.metrics),
        parts_(std::move(parts)),
        newest_number_(newest_number) {}
  ~MariadbStoreImpl() override { Close(); }

  Result<void> Start() {
    for (const auto& group : parts_.groups) MUSTER_TRY(group->Start());
    return parts_.relay->Start();
  }

  ShardStore& shards() override { return *this; }
  ShardUpkeep& shard_upkeep() override { return *this; }
  MemberArchive& archive() override { return *parts_.archive; }
  ImportRanges& import_ranges() override { return *this; }
  ChangeFeed& change_feed() override { return *parts_.feed; }
  ChangeKeeper& change_keeper() override { return *this; }
  std::int64_t newest_number() const override { return newest_number_; }
  std::uint8_t node() const override { return parts_.node ? parts_.node->number() : std::uint8_t{0}; }

  Result<std::unique_ptr<MemberReader>> MakeReader(EventLoop& loop) override {
    return MakePooledReader(
        *parts_.readers,
        {.loop = loop, .clock = *dependencies_.clock, .floor = *dependencies_.floor, .metrics = reader_metrics_});
  }

  Result<void> Health() const override {
    for (const auto& group : parts_.groups) MUSTER_TRY(group->Health());
    return {};
  }
  std::int64_t CountMembers() const override { return parts_.archive->CountMembers().value_or(0); }

  void Close() override {
    parts_.relay->Stop();
    parts_.readers->Close();
    for (const auto& group : parts_.groups) group->Close();
  }

  using ShardStore::DatabaseOf;
  std::uint32_t DatabaseOf(ShardId shard) const override { return parts_.shard_map->GroupOf(shard); }

  void Run(std::uint32_t database, ShardStore::Transaction transaction, Done done) override {
    GroupOf(database).Run(
        [transaction = std::move(transaction)](mariadb::Transaction& rows) mutable { return transaction(rows); },
        std::move(done));
  }
  Timestamp Now(std::uint32_t database) const override { return GroupOf(database).Now(); }

  Result<std::vector<LookupEntry>> ScanLookups(std::uint32_t database, const IdentityKey& after,
                                               std::size_t limit) override {
    MUSTER_CHECK(database < parts_.groups.size());
    return parts_.archive->ScanLookups(database, after, limit);
  }
  Result<std::vector<MemberId>> ScanMarked(std::uint32_t database, MemberId after, std::size_t limit) override {
    MUSTER_CHECK(database < parts_.groups.size());
    return parts_.archive->ScanMarked(database, after, limit);
  }
  void ForgetOperations(std::uint32_t database, Timestamp before, Forgotten done) override {
    RunCounting<std::uint64_t>(database, std::move(done), [before](mariadb::Transaction& rows) {
      return mariadb::ForgetOperations(rows, before);
    });
  }
  void ForgetAnswers(std::uint32_t database, Timestamp before, Forgotten done) override {
    RunCounting<std::uint64_t>(database, std::move(done),
                               [before, &answers = GroupOf(database).answers()](mariadb::Transaction& rows) {
                                 return mariadb::ForgetAnswers(rows, before, answers);
                               });
  }
  // The stream of all groups lies in the first one.
  void ForgetChanges(std::uint32_t database, Timestamp before, std::int64_t keep_max,
                     std::move_only_function<void(Result<std::uint64_t>)> done) override {
    if (database > 0) return done(0);
    RunCounting<std::uint64_t>(database, std::move(done), [before, keep_max](mariadb::Transaction& rows) {
      return mariadb::ForgetChanges(rows, before, keep_max);
    });
  }

  void Reserve(std::uint64_t lines, Given given) override {
    const auto first_sequence = static_cast<std::uint16_t>(dependencies_.random->Below(1 << 12));
    RunCounting<std::int64_t>(0, std::move(given), [lines, first_sequence](mariadb::Transaction& rows) {
      return mariadb::ReserveRange(rows, lines, first_sequence);
    });
  }
  Result<std::uint64_t> CountLines(std::int64_t first) override { return parts_.archive->CountRangeLines(first); }

 private:
  Group& GroupOf(std::uint32_t database) const {
    MUSTER_CHECK(database < parts_.groups.size());
    return *parts_.groups[database];
  }

  template <typename Number, typename Count>
  void RunCounting(std::uint32_t database, std::move_only_function<void(Result<Number>)> done, Count count) {
    auto counted = std::make_shared<Number>(0);
    GroupOf(database).Run(
        [counted, count](mariadb::Transaction& rows) -> Result<void> {
          MUSTER_ASSIGN(*counted, count(rows));
          return {};
        },
        [counted, done = std::move(done)](Result<void> result) mutable {
          if (!result) return done(std::unexpected(std::move(result).error()));
          done(*counted);
        });
  }

  const MariadbDependencies dependencies_;
  const ReaderMetrics reader_metrics_;
  const Parts parts_;
  const std::int64_t newest_number_;
};

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

Result<std::vector<SessionSettings>> SessionsOf(const MariadbOptions& options) {
  using std::chrono::milliseconds;
  MUSTER_TRY(CheckMariadbOptions(options));
  MUSTER_ASSIGN(const Pii<std::string> password, ReadPassword(options.password_file));
  std::vector<SessionSettings> sessions;
  for (const MariadbOptions::GroupRow& row : options.groups) {
    MUSTER_ASSIGN(mariadb::Endpoint endpoint, mariadb::Endpoint::Parse(row.primary));
    sessions.push_back({.endpoint = std::move(endpoint),
                        .account = {options.user, password},
                        .database = row.database,
                        .timeouts = {.connect = milliseconds(options.connect_timeout_ms),
                                     .statement = milliseconds(options.statement_timeout_ms)},
                        .lock_wait = milliseconds(options.lock_wait_ms),
                        .idle_transaction = milliseconds(options.transaction_timeout_ms)});
  }
  return sessions;
}

// Connections whose statements may take long.
Result<std::vector<std::unique_ptr<Connection>>> ConnectAll(const std::vector<SessionSettings>& sessions) {
  std::vector<std::unique_ptr<Connection>> connections;
  for (const SessionSettings& session : sessions) {
    mariadb::Timeouts timeouts = session.timeouts;
    timeouts.statement = kMigrationTimeout;
    MUSTER_ASSIGN(connections.emplace_back(), Connection::Open(session.endpoint, session.account, session.database,
                                                               timeouts, mariadb::Use::kWrite));
  }
  return connections;
}

Result<void> RefuseUnsafe(Connection& connection, bool replicated, const MariadbOptions& options,
                          const MariadbDependencies& dependencies) {
  MUSTER_ASSIGN(const mariadb::ServerSettings settings, mariadb::ReadServerSettings(connection, *dependencies.clock));
  std::string unsafe;
  for (const SettingFinding& finding : CheckServerSettings(settings, replicated)) {
    dependencies.logger->Warning("a setting of a database server",
                                 {{"server", connection.where()}, {"finding", finding.Describe()}});
    if (finding.is_unsafe) unsafe += "\n  " + finding.Describe();
  }
  if (unsafe.empty() || options.allow_unsafe_settings) return {};
  return Fail(Reason::kInternal, connection.where() +
                                     " has settings under which acknowledged writes can be lost. Change them, or set "
                                     "store.mariadb.allow_unsafe_settings = true for data that may be lost:" +
                                     unsafe);
}

// All groups, each looked at before any is changed.
Result<void> PrepareGroups(const std::vector<std::unique_ptr<Connection>>& connections, const ShardMap& shards,
                           const MariadbOptions& options, const MariadbDependencies& dependencies) {
  for (std::size_t index = 0; index < connections.size(); ++index) {
    MUSTER_TRY(RefuseUnsafe(*connections[index], !options.groups[index].replicas.empty(), options, dependencies));
    MUSTER_TRY(CheckTablesVersion(*connections[index], mariadb::AllMigrations()));
  }
  std::array<std::uint8_t, 16> bytes;
  dependencies.random->Fill(bytes);
  const std::string fresh_id = ToHex(bytes);
  std::string installation_id;
  for (std::size_t index = 0; index < connections.size(); ++index) {
    MUSTER_TRY(MigrateTables(*connections[index], mariadb::AllMigrations()));
    const auto number = static_cast<std::uint32_t>(index);
    MUSTER_ASSIGN(
        installation_id,
        AdoptDatabase(*connections[index],
                      {.installation_id = installation_id, .index = number, .shards = shards.ShardsOf(number)},
                      fresh_id, *dependencies.keyring, *dependencies.catalog));
  }
  return {};
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

// `relay`, when there is one already, is told of changes; without it these groups are its lanes.
std::vector<std::unique_ptr<Group>> MakeGroups(const std::vector<SessionSettings>& sessions, const ShardMap& shards,
                                               const MariadbOptions& options, const MariadbDependencies& dependencies,
                                               mariadb::ChangeRelay* relay) {
  std::vector<std::unique_ptr<Group>> groups;
  groups.reserve(sessions.size());
  for (std::size_t index = 0; index < sessions.size(); ++index) {
    groups.push_back(std::make_unique<Group>(
        Group::Settings{.index = static_cast<std::uint32_t>(index),
                        .session = sessions[index],
                        .connections = relay ? static_cast<std::size_t>(options.connections) : 1,
                        .queue_max = static_cast<std::size_t>(options.queue_max),
                        .transaction_timeout = std::chrono::milliseconds(options.transaction_timeout_ms),
                        .attempts_max = static_cast<int>(options.attempts_max),
                        .clock_refresh = std::chrono::milliseconds(options.clock_refresh_ms),
                        .pool = relay ? "write" : "relay",
                        .keeps_answers = relay != nullptr},
        Group::Dependencies{.keyring = *dependencies.keyring,
                            .clock = *dependencies.clock,
                            .random = *dependencies.random,
                            .logger = *dependencies.logger,
                            .metrics = *dependencies.metrics,
                            .floor = *dependencies.floor,
                            .cache = dependencies.cache,
                            .shards = shards,
                            .lease = dependencies.lease,
                            .on_change = relay ? [relay](std::uint32_t group) { relay->Nudge(group); }
                                               : std::function<void(std::uint32_t)>()}));
  }
  return groups;
}

}  // namespace

void MariadbOptions::Declare(OptionRegistry& registry) {
  registry.AddTables<GroupRow>(
      "store.mariadb.groups", &groups,
      "The groups over which the 1,024 shards are spread, in the order in which they were made; their number is fixed "
      "when the data is made.",
      [](OptionRegistry& row_options, GroupRow& row) {
        row_options.AddString("primary", &row.primary, "The server that takes writes: host:port, or unix:/path");
        row_options.AddStrings("replicas", &row.replicas,
                               "Its replicas; when there are any, settings without which a failover loses writes are "
                               "unsafe, too");
        row_options.AddString("database", &row.database, "Name of the database, which has to exist");
      });
  registry.AddString("store.mariadb.user", &user, "Account on all servers");
  registry.AddString("store.mariadb.password_file", &password_file,
                     "File whose first line is the account's password; none when empty");
  registry.AddInteger("store.mariadb.connections", &connections, "Connections for writing to each group",
                      {.min = 1, .max = 1024});
  registry.AddInteger("store.mariadb.readers", &readers, "Threads that read, each with a connection to each group",
                      {.min = 1, .max = 256});
  registry.AddInteger("store.mariadb.queue_max", &queue_max,
                      "Transactions of a group that may wait for a connection; beyond it writes answer OVERLOADED",
                      {.min = 1, .max = 1 << 20});
  registry.AddDuration("store.mariadb.connect_timeout", &connect_timeout_ms,
                       "How long opening a connection may take, in whole seconds", {.min = 1'000, .max = 60'000});
  registry.AddDuration("store.mariadb.statement_timeout", &statement_timeout_ms,
                       "A connection that has not answered for so long is given up, in whole seconds",
                       {.min = 1'000, .max = 600'000});
  registry.AddDuration("store.mariadb.lock_wait", &lock_wait_ms,
                       "How long a statement waits for a row that another transaction holds, in whole seconds",
                       {.min = 1'000, .max = 60'000});
  registry.AddDuration("store.mariadb.transaction_timeout", &transaction_timeout_ms,
                       "A transaction that has waited and run for so long is given up: OVERLOADED",
                       {.min = 1'000, .max = 600'000});
  registry.AddInteger("store.mariadb.attempts_max", &attempts_max,
                      "How often a transaction runs when others are in its way", {.min = 1, .max = 1'000});
  registry.AddDuration("store.mariadb.clock_refresh", &clock_refresh_ms,
                       "How often the offset of a group's clock is measured", {.min = 1'000, .max = 86'400'000});
  registry.AddDuration("store.mariadb.changes_poll", &changes_poll_ms,
                       "How soon the stream of changes notices what other processes have committed; what this process "
                       "commits, it is told of",
                       {.min = 1, .max = 10'000});
  registry.AddBoolean(
      "store.mariadb.allow_unsafe_settings", &allow_unsafe_settings,
      "Whether servers are written to whose settings can lose acknowledged writes; for throw-away data");
}

Result<std::unique_ptr<MariadbStore>> MariadbStore::Open(const MariadbOptions& options,
                                                         const MariadbDependencies& dependencies) {
  MUSTER_CHECK(dependencies.keyring && dependencies.clock && dependencies.random && dependencies.logger &&
               dependencies.metrics && dependencies.floor && dependencies.catalog);
  MUSTER_ASSIGN(const std::vector<SessionSettings> sessions, SessionsOf(options));
  auto shard_map = std::make_unique<ShardMap>(ShardMap::Spread(static_cast<std::uint32_t>(sessions.size())));
  std::int64_t newest_number = 0;
  {
    MUSTER_ASSIGN(const std::vector<std::unique_ptr<Connection>> connections, ConnectAll(sessions));
    MUSTER_TRY(PrepareGroups(connections, *shard_map, options, dependencies));
    for (const auto& connection : connections) {
      MUSTER_ASSIGN(const std::int64_t number, ReadNewestNumber(*connection));
      newest_number = std::max(newest_number, number);
    }
  }
  Parts parts;
  if (!dependencies.node_owner.empty()) {
    MUSTER_ASSIGN(parts.node, mariadb::Node::Take(sessions.front(), dependencies.node_owner));
  }
  parts.archive = std::make_unique<Archive>(sessions, *shard_map, *dependencies.keyring, *dependencies.random);
  parts.wakes = std::make_unique<ChangeWakes>();
  parts.feed = std::make_unique<mariadb::StreamFeed>(sessions.front(), *parts.wakes);
  parts.relay = std::make_unique<mariadb::ChangeRelay>(
      MakeGroups(sessions, *shard_map, options, dependencies, nullptr), *parts.feed, *parts.wakes,
      std::chrono::milliseconds(options.changes_poll_ms),
      mariadb::ChangeRelay::Dependencies{
          .random = *dependencies.random, .logger = *dependencies.logger, .metrics = *dependencies.metrics});
  parts.groups = MakeGroups(sessions, *shard_map, options, dependencies, parts.relay.get());
  parts.readers = std::make_unique<ReaderPool>(static_cast<std::size_t>(options.readers), sessions, *shard_map,
                                               *dependencies.keyring, *dependencies.random);
  parts.shard_map = std::move(shard_map);
  auto store = std::make_unique<MariadbStoreImpl>(dependencies, std::move(parts), newest_number);
  MUSTER_TRY(store->Start());
  return store;
}

Result<void> CheckMariadbOptions(const MariadbOptions& options) {
  if (options.groups.empty() || options.groups.size() > kShardCount) {
    return Fail(Reason::kInvalidArgument,
                "store.mariadb.groups: name 1 to 1,024 groups in [[store.mariadb.groups]], each with its primary");
  }
  const auto check = [](const std::string& field, const std::string& server) -> Result<void> {
    const auto endpoint = mariadb::Endpoint::Parse(server);
    if (endpoint) return {};
    return Fail(Reason::kInvalidArgument, field + ": " + endpoint.error().message);
  };
  for (std::size_t index = 0; index < options.groups.size(); ++index) {
    const MariadbOptions::GroupRow& row = options.groups[index];
    const std::string field = Indexed("store.mariadb.groups", index);
    MUSTER_TRY(check(field + ".primary", row.primary));
    for (const std::string& replica : row.replicas) MUSTER_TRY(check(field + ".replicas", replica));
    if (row.database.empty()) {
      return Fail(Reason::kInvalidArgument, field + ".database is empty: name the database of the group");
    }
    for (std::size_t other = 0; other < index; ++other) {
      if (options.groups[other].primary != row.primary || options.groups[other].database != row.database) continue;
      return Fail(Reason::kInvalidArgument, field + " is the same database as " +
                                                Indexed("store.mariadb.groups", other) + ": each group has its own");
    }
  }
  if (options.lock_wait_ms <= options.statement_timeout_ms) return {};
  return Fail(Reason::kInvalidArgument,
              "store.mariadb.lock_wait is longer than store.mariadb.statement_timeout: who waits for a row would lose "
              "its connection; make it shorter");
}

Result<std::vector<std::vector<SettingFinding>>> CheckMariadbSettings(const MariadbOptions& options,
                                                                      const Clock& clock) {
  MUSTER_ASSIGN(const std::vector<SessionSettings> sessions, SessionsOf(options));
  std::vector<std::vector<SettingFinding>> findings;
  for (std::size_t index = 0; index < sessions.size(); ++index) {
    const SessionSettings& session = sessions[index];
    MUSTER_ASSIGN(
        const std::unique_ptr<Connection> connection,
        Connection::Open(session.endpoint, session.account, session.database, session.timeouts, mariadb::Use::kRead));
    MUSTER_ASSIGN(const mariadb::ServerSettings settings, mariadb::ReadServerSettings(*connection, clock));
    findings.push_back(CheckServerSettings(settings, !options.groups[index].replicas.empty()));
  }
  return findings;
}

}  // namespace muster
