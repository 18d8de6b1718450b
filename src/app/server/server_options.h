#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/change_hub.h"
#include "api/deadlines.h"
#include "api/grpc_server.h"
#include "api/http_server.h"
#include "app/cli/exit_code.h"
#include "app/server/center_options.h"
#include "base/log.h"
#include "base/options.h"
#include "cache/near_cache.h"
#include "domain/identity_catalog.h"
#include "search/search_index.h"
#include "store/answer_shares.h"
#include "store/mariadb/mariadb_store.h"
#include "store/sqlite_store.h"
#include "store/sweeper.h"

namespace muster {

// Every option of a server: those that its modules declare, and those of the composition itself.
struct ServerOptions {
  // One [[identity.kinds]] of the configuration.
  struct KindRow {
    std::string name;
    std::string scope = "platform";
    std::int64_t members_limit = 10;
    bool limit_per_platform = false;
    std::string normaliser = "account";
  };

  ServerOptions();

  std::string data_directory;
  std::string keyring_file;  // empty: `keyring` in the data directory
  HttpServerOptions http;
  GrpcServerOptions grpc;
  HttpServerOptions admin;
  DeadlineOptions deadlines;
  std::string store_kind = "sqlite";  // or "mariadb"
  SqliteOptions sqlite;
  MariadbOptions mariadb;
  CenterOptions center;
  SweeperOptions sweeper;
  AnswerOptions answers;
  NearCacheOptions near;
  SearchOptions search;
  ChangeStreamOptions changes;
  std::string routes_read;
  std::vector<KindRow> identity_kinds;
  std::vector<std::string> identity_platforms;
  std::string identity_default_region = "CN";
  std::string log_format = "logfmt";
  std::string log_level = "info";
  std::string log_file;

  void Declare(OptionRegistry& registry);

  std::string keyring_path() const;
  std::string topology_path() const;
  bool is_mariadb() const { return store_kind == "mariadb"; }
  // Where other processes write, too, nothing is kept in memory and no read is shared: what another one has
  // acknowledged would not be heard of in time. The centers' caches hear of it.
  std::string read_route() const;
  NearCacheOptions near_cache() const;
  std::int64_t store_queue_max() const { return is_mariadb() ? mariadb.queue_max : sqlite.queue_max; }
  LogOptions log() const;
  Result<IdentityCatalog> MakeCatalog() const;
};

// What no single option's bounds can tell: the kinds make a catalog, the route expression names things that exist, the
// addresses are addresses and two, the log can be written. `registry`, to which they were declared, tells where each
// option was set: an error begins with that place.
Result<void> CheckServerOptions(const ServerOptions& options, const OptionRegistry& registry);

}  // namespace muster
