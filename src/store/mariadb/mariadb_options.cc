#include "store/mariadb/mariadb_store.h"

// The options of the store.
namespace muster {

void MariadbOptions::Declare(OptionRegistry& registry) {
  registry.AddTables<GroupRow>(
      "store.mariadb.groups", &groups,
      "The groups over which the 1,024 shards are spread, in the order in which they were made; their number is fixed "
      "when the data is made. None where the topology names the groups.",
      [](OptionRegistry& row_options, GroupRow& row) {
        row_options.AddString("primary", &row.primary, "The server that takes writes: host:port, or unix:/path");
        row_options.AddStrings("replicas", &row.replicas,
                               "Its replicas; when there are any, settings without which a failover loses writes are "
                               "unsafe, too");
        row_options.AddString("database", &row.database, "Name of the database, which has to exist");
      });
  registry.AddString("store.mariadb.database", &database,
                     "Name of the database on all servers, where the topology names the groups");
  registry.AddString("store.mariadb.user", &user, "Account on all servers");
  registry.AddString("store.mariadb.password_file", &password_file,
                     "File whose first line is the account's password; none when empty");
  registry.AddInteger("store.mariadb.connections", &connections, "Connections for writing to each group",
                      {.min = 1, .max = 1024});
  registry.AddInteger("store.mariadb.readers", &readers,
                      "Threads that read, each with a connection to each server that it asks", {.min = 1, .max = 256});
  registry.AddInteger("store.mariadb.reads_per_turn", &reads_per_turn,
                      "Reads of an event loop that share statements at most; 1: each has its own, which takes more of "
                      "this process and of the servers",
                      {.min = 1, .max = static_cast<std::int64_t>(kReadsPerTurnMax)});
  registry.AddInteger("store.mariadb.queue_max", &queue_max,
                      "Transactions of a group that may wait for a connection; beyond it writes answer OVERLOADED",
                      {.min = 1, .max = 1 << 20});
  registry.AddDuration("store.mariadb.connect_timeout", &connect_timeout_ms,
                       "How long opening a connection may take, in whole seconds", {.min = 1'000, .max = 60'000});
  registry.AddDuration("store.mariadb.open_timeout", &open_timeout_ms,
                       "How long a process that starts waits for etcd, and then for the primaries, where the topology "
                       "names the groups",
                       {.min = 0, .max = 3'600'000});
  registry.AddDuration("store.mariadb.statement_timeout", &statement_timeout_ms,
                       "A connection that has not answered for so long is given up, in whole seconds",
                       {.min = 1'000, .max = 600'000});
  registry.AddDuration("store.mariadb.read_timeout", &read_timeout_ms,
                       "A server that has not answered a read for so long is left alone for a second, and another one "
                       "is asked; the last that there is has a second in any case",
                       {.min = 10, .max = 60'000});
  // What a center's cache relies on is at least as long (RedisOptions::replica_lag_max_s).
  registry.AddDuration("store.mariadb.replica_lag_max", &replica_lag_max_ms,
                       "A copy that is further behind its primary answers nobody while the primary can be reached",
                       {.min = 1, .max = 30'000});
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

Result<void> CheckMariadbOptions(const MariadbOptions& options, GroupsNamed named) {
  if (named == GroupsNamed::kByTopology) {
    if (!options.groups.empty()) {
      return Fail(Reason::kInvalidArgument,
                  "store.mariadb.groups: the topology names the groups of this installation; remove them here");
    }
    if (options.database.empty()) {
      return Fail(Reason::kInvalidArgument, "store.mariadb.database is empty: name the database of the groups");
    }
  } else if (options.groups.empty() || options.groups.size() > kShardCount) {
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

}  // namespace muster
