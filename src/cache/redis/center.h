#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/result.h"
#include "base/socket_loop.h"
#include "domain/keyring.h"
#include "domain/ports/center_cache.h"

namespace muster {

struct RedisOptions {
  // "127.0.0.1:6379", "[::1]:6379", "unix:/path" (a tunnel with TLS). One server, a primary and its replicas, or with
  // `is_cluster` some nodes of a Cluster.
  std::vector<std::string> endpoints;
  bool is_cluster = false;
  std::string prefix = "muster";  // of the keys; each installation has its own
  std::string user;               // of an ACL; empty: "default"
  std::string password_file;      // its first line, mode 0600; empty: no password

  std::int64_t request_timeout_ms = 50;  // of a reader's request; then the store's primary is asked
  std::int64_t lease_ms = 2'000;         // how long one reader may take to fill
  std::int64_t fill_wait_ms = 5;         // how long others wait for it, once
  std::int64_t value_ttl_s = 3'600;      // after which an entry is read anew
  std::int64_t floor_life_s = 60;        // at least as long floors live
  std::int64_t replica_lag_max_s = 30;   // beyond which a replica of the store answers nobody: enforced elsewhere
  std::int64_t source_time_max_s = 10;   // beyond which a source's answer counts as old: enforced by the route
};

// INVALID_ARGUMENT names the option. Floors must outlive a lease, the lag of replicas and a source's answer together.
Result<void> CheckRedisOptions(const RedisOptions& options);

struct RedisDependencies {
  SocketLoop* loop = nullptr;
  const Clock* clock = nullptr;
  Random* random = nullptr;
  const Keyring* keyring = nullptr;
  Logger* logger = nullptr;
  CacheStateSource state;
  std::string center;  // its name, for logs
};

// The cache of one center on its Redis, as one loop sees it: one connection to each server. Gets of a turn share an
// MGET (in a Cluster one for each logical shard), everything of a turn one write.
//
// Every failure is kUnusable to a reader, kUnreachable or kLost to a writer, and nothing worse: the invariant does not
// hang on Redis.
class RedisCenterCache : public CenterCache {
 public:
  // What Get would find now, for whoever only wants to know: a miss takes no lease and tells no floor.
  virtual void Peek(MemberId id, Deadline deadline, std::move_only_function<void(MemberLookup)> reply) = 0;
  // Begins an epoch on all servers: what they have of older ones is out of reach from now on. For whoever warms a
  // center, while its mode is WARMING. True: begun now, so that what was committed until now and nobody invalidated
  // counts from here; false: it had been before. STATE_CONFLICT: a newer epoch is there, or this one began on other
  // processes: take a new one. OVERLOADED: not all servers are in reach.
  virtual void BeginEpoch(Epoch epoch, Deadline deadline, std::move_only_function<void(Result<bool>)> reply) = 0;
  // Whether all servers are in reach. For whoever is to begin a write: none should while a center that is not bypassed
  // is known to be out of reach.
  virtual bool IsReachable() const = 0;
};

// On the loop's thread, or before it runs; the same for its end. Everything in `dependencies` outlives it.
Result<std::unique_ptr<RedisCenterCache>> MakeRedisCenter(const RedisOptions& options,
                                                          const RedisDependencies& dependencies);

}  // namespace muster
