#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/options.h"
#include "base/random.h"
#include "base/result.h"
#include "domain/commit_floor.h"
#include "domain/identity_catalog.h"
#include "domain/keyring.h"
#include "domain/ports/commit_listener.h"
#include "domain/ports/member_cache.h"
#include "store/answer_shares.h"
#include "store/mariadb/placement.h"
#include "store/mariadb/server_settings.h"
#include "store/mariadb/shard_mover_options.h"
#include "store/member_store.h"
#include "store/sqlite_reader.h"
#include "topology/shard_map.h"
#include "topology/writer_lease.h"

namespace muster {

struct MariadbOptions {
  // One [[store.mariadb.groups]].
  struct GroupRow {
    std::string primary;                // "host:port" or "unix:/path"
    std::vector<std::string> replicas;  // likewise; when there are any, the primary's settings must make them matter
    std::string database = "muster";
  };

  // Over which the 1,024 shards are spread; fixed when the data is made. None with MariadbDependencies::placement.
  std::vector<GroupRow> groups;
  std::string database = "muster";  // with a placement: on all servers
  std::string user = "muster";
  std::string password_file;                       // its first line; empty: no password
  std::int64_t connections = 16;                   // for writing, to each group
  std::int64_t readers = 4;                        // threads that read, each with a connection to each server it asks
  std::int64_t reads_per_turn = kReadsPerTurnMax;  // of one loop, by shared statements
  std::int64_t queue_max = 4096;                   // transactions of a group that wait; beyond: OVERLOADED
  std::int64_t connect_timeout_ms = 2'000;         // this and the next two in whole seconds
  std::int64_t open_timeout_ms = 60'000;           // for primaries to be there, with a placement
  std::int64_t statement_timeout_ms = 5'000;       // without an answer for so long a connection is given up
  std::int64_t read_timeout_ms = 300;              // of a read, when another server can be asked
  std::int64_t replica_lag_max_ms = 5'000;         // of a copy that answers although the primary could
  std::int64_t lock_wait_ms = 2'000;
  std::int64_t transaction_timeout_ms = 10'000;  // with waiting for its turn, and running again
  std::int64_t attempts_max = 20;
  std::int64_t clock_refresh_ms = 30'000;
  std::int64_t changes_poll_ms = 20;
  bool allow_unsafe_settings = false;
  AnswerOptions answers = {};  // store.idempotency.answers_max: declared by whoever composes

  void Declare(OptionRegistry& options);  // store.mariadb.*
};

struct MariadbDependencies {
  const Keyring* keyring = nullptr;
  const Clock* clock = nullptr;
  Random* random = nullptr;
  Logger* logger = nullptr;
  MetricRegistry* metrics = nullptr;
  CommitFloor* floor = nullptr;
  MemberCache* cache = nullptr;  // erased from before each commit; may be null
  const IdentityCatalog* catalog = nullptr;
  WriterLeaseSource lease = {};  // none: epoch 0, for ever
  // Has to hear of each write before it is acknowledged; outlives the store, and goes on until that is closed. May be
  // null.
  CommitListener* listener = nullptr;
  // Where the groups are, by name; their number and order are fixed when the data is made. None: where the options say,
  // for ever.
  mariadb::PlacementSource placement = {};
  // In which of them each shard lives now, of the same topology as the placement or a later one. None: they are spread
  // over the groups, for ever.
  ShardMapSource shards = {};
  // Who moves shards between them; none: nobody in this process.
  mariadb::ShardMoverOptions mover = {};
  std::string node_owner = {};  // whose number ids are made with (node.h); none: 0, which is not taken
};

// All members in MariaDB groups: a primary each, with the rows of its shards. Several processes may use them at once.
class MariadbStore : public MemberStore {
 public:
  // Looks at every group before it changes one: settings, tables, where it belongs. Then brings the tables forward.
  // Errors say what to do: a server that cannot be reached, refuses the account or is read-only (WRITES_UNAVAILABLE),
  // an unsafe setting, a newer schema, another installation or keyring, other shards, a data directory that is used
  // twice (INTERNAL). With a placement it waits for primaries that move or cannot be reached, for `open_timeout` at
  // most.
  static Result<std::unique_ptr<MariadbStore>> Open(const MariadbOptions& options,
                                                    const MariadbDependencies& dependencies);
};

// Who names the groups: the options, or the topology, which a placement is made of.
enum class GroupsNamed : std::uint8_t { kByOptions, kByTopology };

// What no single option's bounds can tell: there are groups (none, where the topology names them), their servers have
// addresses, time-outs fit each other. INVALID_ARGUMENT; the message begins with the option's name.
Result<void> CheckMariadbOptions(const MariadbOptions& options, GroupsNamed named = GroupsNamed::kByOptions);

// What is unsafe or advised against in the settings of the primary of each group that the options name, in their order:
// for `muster doctor`. Where the topology has named them to the options, what the failover sets is not looked at.
// Errors as of Open.
Result<std::vector<std::vector<SettingFinding>>> CheckMariadbSettings(const MariadbOptions& options, const Clock& clock,
                                                                      GroupsNamed named = GroupsNamed::kByOptions);

}  // namespace muster
