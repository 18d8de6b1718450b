#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "domain/ids.h"
#include "domain/ports/center_cache.h"
#include "topology/database_groups.h"

namespace muster {

// A caller's account as the topology holds it. Keys appear as keyed hashes only.
struct CallerRecord {
  struct Key {
    std::string id = {};        // public part of the key, shown in lists
    std::string hash_hex = {};  // HMAC-SHA-256 of the secret
    Timestamp create_time{};
    Timestamp expire_time{};  // zero: never
    friend bool operator==(const Key&, const Key&) = default;
  };

  std::string name = {};                 // [a-z][a-z0-9-]{0,62}
  std::string purpose = {};              // declared use
  std::vector<std::string> scopes = {};  // traffic/scopes.h
  std::vector<Key> keys = {};            // two during a rotation
  bool disabled = false;
  bool idempotency_key_required = false;  // of its writes to members
  Timestamp create_time{};
  friend bool operator==(const CallerRecord&, const CallerRecord&) = default;
};

// How far the cache of a center may be used, and under which epoch (models/cache_fill.pml). It begins in BYPASS or
// WARMING, is never forgotten, and comes back through a new epoch:
//
//   ON ──► BYPASS (epoch + 1) ──► WARMING (epoch + 1) ──► ON
//            ▲                        │
//            └────────────────────────┘ epoch + 1
struct CacheRecord {
  std::string center = {};
  Epoch epoch{0};
  CacheMode mode = CacheMode::kBypass;
  friend bool operator==(const CacheRecord&, const CacheRecord&) = default;
};
std::string_view NameOf(CacheMode mode);

// Everything that all processes of an installation must agree on, as one versioned document.
struct TopologyDocument {
  static constexpr std::int64_t kLeaseMsDefault = 1000;
  static constexpr std::int64_t kLeaseMsMin = 100;
  static constexpr std::int64_t kLeaseMsMax = 10'000;

  std::int64_t revision = 0;  // raised by each change
  Epoch epoch{1};             // raised by each change of who may write
  // Names of the centers, sorted; none: the installation has one place only, and whoever has the data may write.
  std::vector<std::string> centers = {};
  std::string writer = {};  // the center whose databases are written to; empty while there are centers: nobody writes
  // For how long a confirmation of the epoch allows to write (writer_lease.h). It may be raised at any time, and
  // lowered only while nobody writes: who holds a longer one does not hear of it in time.
  std::int64_t lease_ms = kLeaseMsDefault;
  // Sorted by name, which numbers them; their primaries are in the center that writes.
  std::vector<GroupRecord> groups = {};
  // Of the topology that last changed in which group a shard lives, or whether it may be written to; 0: none has. Kept
  // by ChangeTopology.
  std::int64_t shards_revision = 0;
  std::optional<ShardMoveRecord> shard_move = {};  // under way
  std::optional<FailoverJournal> failover = {};    // under way: then there is no writer
  std::vector<FailoverOutcome> failovers = {};     // that have ended, oldest first
  std::vector<CacheRecord> caches = {};            // sorted by center; one without is not used
  std::vector<CallerRecord> callers = {};          // sorted by name
  friend bool operator==(const TopologyDocument&, const TopologyDocument&) = default;

  // Else the shards are spread over the groups.
  bool names_shards() const;
  const GroupRecord* FindGroup(std::string_view group) const;
  GroupRecord* FindGroup(std::string_view group);
  const CacheRecord* FindCache(std::string_view center) const;
  CacheRecord* FindCache(std::string_view center);
};

// Where the document lives: a file when embedded, else etcd (topology_etcd.h). Thread-safe.
class TopologyStore {
 public:
  virtual ~TopologyStore() = default;
  // The newest document: whatever was acknowledged before the call is in it.
  virtual Result<std::shared_ptr<const TopologyDocument>> Read() = 0;
  // Applies `change` to the current document and stores it with the next revision, or the later one that `change` gives
  // it, durably; again, a bounded number of times, when somebody else was faster. An error of `change` stores nothing.
  virtual Result<std::shared_ptr<const TopologyDocument>> Update(
      const std::function<Result<void>(TopologyDocument&)>& change) = 0;
};

// `path`: JSON, mode 0600, replaced atomically. A malformed or newer file is refused with the line of the mistake.
Result<std::unique_ptr<TopologyStore>> OpenTopologyFile(const std::string& path);

}  // namespace muster
