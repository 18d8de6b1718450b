#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "base/result.h"
#include "cache/redis/center.h"
#include "topology/topology_etcd.h"

namespace muster {

// What makes a server one of several centers: where the topology lives, which center this is, every center's Redis, and
// the account that commands the databases. Without etcd a server is alone with its data.
struct CenterOptions {
  // One [[cache.redis.centers]].
  struct CacheRow {
    std::string center;
    std::vector<std::string> endpoints;
  };

  std::string center;  // as the topology names it
  std::string topology_kind = "file";
  EtcdOptions etcd;
  std::vector<CacheRow> caches;
  RedisOptions redis;                                   // of all of them, but for the endpoints
  std::int64_t tracked_bytes = std::int64_t{64} << 20;  // of all loops together
  std::int64_t cache_settle_ms = 5'000;
  bool controls = true;
  std::string control_user = "muster_control";
  std::string control_password_file;
  std::string replica_user_prefix = "repl_";
  std::string replica_password_file;

  void Declare(OptionRegistry& registry);

  bool is_etcd() const { return topology_kind == "etcd"; }
  RedisOptions RedisOf(const CacheRow& row) const;
};

// What no single option's bounds can tell. INVALID_ARGUMENT; the message begins with the option's name.
Result<void> CheckCenterOptions(const CenterOptions& options, bool is_mariadb);

}  // namespace muster
