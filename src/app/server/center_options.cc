#include "app/server/center_options.h"

#include <algorithm>

namespace muster {

void CenterOptions::Declare(OptionRegistry& registry) {
  registry.AddString("center.name", &center,
                     "The center that this server is in, as the topology names it; empty: there are no centers.");
  registry.AddString("topology.kind", &topology_kind,
                     "Where what all servers agree on lives: in topology.json in the data directory, which is this "
                     "server's alone, or in etcd.",
                     {"file", "etcd"});
  registry.AddStrings("topology.etcd.endpoints", &etcd.endpoints,
                      "The client addresses of all voters, as \"http://HOST:2379\" or \"https://…\".");
  registry.AddString("topology.etcd.prefix", &etcd.prefix, "What keys begin with; each installation has its own.");
  registry.AddString("topology.etcd.ca_file", &etcd.ca_file,
                     "Certification authorities (PEM) for https; empty: the system's.");
  registry.AddString("topology.etcd.certificate_file", &etcd.certificate_file,
                     "This server's certificate (PEM); empty: it shows none.");
  registry.AddString("topology.etcd.key_file", &etcd.key_file, "The certificate's key (PEM).");
  registry.AddString("topology.etcd.user", &etcd.user, "The account; empty: etcd asks for none.");
  registry.AddString("topology.etcd.password_file", &etcd.password_file,
                     "A file whose first line is the account's password.");
  registry.AddDuration("topology.etcd.attempt_timeout", &etcd.attempt_timeout_ms,
                       "How long one voter is waited for before the next one is asked; well below the topology's lease",
                       {.min = 10, .max = 60'000});
  registry.AddDuration("topology.etcd.timeout", &etcd.timeout_ms, "How long a read or a change may take as a whole",
                       {.min = 100, .max = 60'000});
  registry.AddTables<CacheRow>(
      "cache.redis.centers", &caches,
      "The Redis of each center. This server reads that of its own, and tells all of what it writes.",
      [](OptionRegistry& columns, CacheRow& row) {
        columns.AddString("center", &row.center, "As the topology names it.");
        columns.AddStrings("endpoints", &row.endpoints,
                           "Its servers, as \"ADDRESS:6379\" or \"unix:/path\"; of a Cluster some of them.");
      });
  registry.AddBoolean("cache.redis.cluster", &redis.is_cluster, "Whether they are Redis Clusters.");
  registry.AddString("cache.redis.prefix", &redis.prefix, "What keys begin with; each installation has its own.");
  registry.AddString("cache.redis.user", &redis.user, "The account; empty: \"default\".");
  registry.AddString("cache.redis.password_file", &redis.password_file,
                     "A file whose first line is the password; empty: Redis asks for none.");
  registry.AddDuration("cache.redis.request_timeout", &redis.request_timeout_ms,
                       "How long a reader waits for Redis before it asks the store's primary",
                       {.min = 1, .max = 10'000});
  registry.AddDuration("cache.redis.lease", &redis.lease_ms, "How long one reader may take to fill an entry",
                       {.min = 100, .max = 60'000});
  registry.AddInteger("cache.redis.value_ttl_seconds", &redis.value_ttl_s, "After which an entry is read anew.",
                      {.min = 1, .max = std::int64_t{30} * 86'400});
  registry.AddBytes("cache.redis.near_bytes", &tracked_bytes,
                    "Memory for members that this server keeps for a second beside Redis; 0: none.",
                    {.min = 0, .max = std::int64_t{1} << 40});
  registry.AddDuration("cache.redis.settle", &cache_settle_ms,
                       "How long a Redis that was bypassed has to be in reach before it is brought back",
                       {.min = 0, .max = 3'600'000});
  registry.AddBoolean("failover.controls", &controls,
                      "Whether this server may decide about failovers; one that does not still looks and reports.");
  registry.AddString("store.mariadb.control_user", &control_user,
                     "The account that commands replication, on every database of the topology.");
  registry.AddString("store.mariadb.control_password_file", &control_password_file,
                     "A file whose first line is its password.");
  registry.AddString("store.mariadb.replica_user_prefix", &replica_user_prefix,
                     "What the accounts under which replicas receive begin with; the database's name follows.");
  registry.AddString("store.mariadb.replica_password_file", &replica_password_file,
                     "A file whose first line is the password of all of them.");
}

RedisOptions CenterOptions::RedisOf(const CacheRow& row) const {
  RedisOptions options = redis;
  options.endpoints = row.endpoints;
  return options;
}

Result<void> CheckCenterOptions(const CenterOptions& options, bool is_mariadb) {
  const auto refuse = [](std::string message) { return Fail(Reason::kInvalidArgument, std::move(message)); };
  if (!options.is_etcd()) {
    if (!options.center.empty()) {
      return refuse("center.name is \"" + options.center +
                    "\" and topology.kind is file: with more than one center the topology lives in etcd");
    }
    if (options.caches.empty()) return {};
    return refuse(
        "cache.redis.centers are named and topology.kind is file: which of them may be believed is said by "
        "the topology, which all servers share in etcd");
  }
  if (!is_mariadb) return refuse("topology.kind is etcd and store.kind is sqlite: set store.kind = \"mariadb\"");
  if (options.etcd.endpoints.empty()) return refuse("topology.etcd.endpoints is empty: name every voter");
  if (options.center.empty()) return refuse("center.name is empty: say which center of the topology this server is in");
  for (const CenterOptions::CacheRow& row : options.caches) {
    if (row.center.empty()) return refuse("cache.redis.centers: a table has no center: name it as the topology does");
    if (std::ranges::count(options.caches, row.center, &CenterOptions::CacheRow::center) > 1) {
      return refuse("cache.redis.centers: \"" + row.center + "\" is there twice");
    }
    if (auto checked = CheckRedisOptions(options.RedisOf(row)); !checked) {
      return refuse("cache.redis.centers: " + checked.error().message);
    }
  }
  if (options.caches.empty()) return {};
  if (std::ranges::count(options.caches, options.center, &CenterOptions::CacheRow::center) == 1) return {};
  return refuse("cache.redis.centers: none is of this server's center, \"" + options.center + "\"");
}

}  // namespace muster
