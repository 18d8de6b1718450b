#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "centers/center_world.h"
#include "domain/ports/center_cache.h"

namespace muster::sim {

// A member's entry, or an identity's.
struct CacheSubject {
  bool is_identity = false;
  MemberId id = {};
  IdentityKey key = {};
  static CacheSubject Of(MemberId id) { return {.is_identity = false, .id = id}; }
  static CacheSubject Of(const IdentityKey& key) { return {.is_identity = true, .key = key}; }
  friend auto operator<=>(const CacheSubject&, const CacheSubject&) = default;
};

struct CacheValue {
  Version version{0};
  MemberDocumentRef member = {};                  // of a member's entry; null: there is none
  std::optional<MemberId> holder = std::nullopt;  // of an identity's; none: nobody
};

// On which process an epoch began (cache/redis/keys.h).
struct CacheMarker {
  Epoch epoch{0};
  std::uint64_t process = 0;
  friend bool operator==(const CacheMarker&, const CacheMarker&) = default;
};

// The Redis of a center: what the scripts of cache/redis/scripts.cc do to it, each at one moment, with its data for as
// long as nothing takes it away. (Floors live longer than a run, so that their periods do not show.)
class RedisTwin {
 public:
  RedisTwin(CenterWorld& world, Place place);

  Place place() const { return place_; }
  std::uint64_t process() const { return process_; }
  bool Answers() const { return runs_ && !is_frozen_; }
  // Whether a connection to it counts as one, for those who look without asking it.
  bool LooksAlive() const { return runs_ && (!is_frozen_ || world_.now() - frozen_since_ < std::chrono::seconds(1)); }

  enum class Miss : std::uint8_t { kLost, kValue, kNone };
  struct Missed {
    Miss kind = Miss::kLost;
    CacheValue value = {};
    Version floor{0};
    bool is_leased = false;
  };
  std::optional<CacheMarker> marker() const { return data_.marker; }
  // The value that is read by MGET; none: the script of a miss follows.
  Missed Get(const CacheMarker& marker, const CacheSubject& subject, std::uint64_t token, Duration lease);
  void Fill(const CacheMarker& marker, const CacheSubject& subject, std::uint64_t token, CacheValue value);
  bool Invalidate(const CacheMarker& marker, const std::vector<std::pair<CacheSubject, Version>>& entries);
  enum class Begun : std::uint8_t { kNow, kBefore, kRefused };
  Begun BeginEpoch(Epoch epoch);

  // What happens to it.
  void Restart(bool with_older_copy);  // also: a replica is promoted
  void Flush();
  void Evict();
  void Kill();
  void Start();
  void Freeze(bool is_frozen);
  void KeepCopy();  // of what it has now, for a restart to come

  const std::map<std::pair<Epoch, CacheSubject>, CacheValue>& values() const { return data_.values; }

 private:
  struct Lease {
    std::uint64_t token = 0;
    Instant until{};
  };
  struct Data {
    std::optional<CacheMarker> marker = {};
    std::map<std::pair<Epoch, CacheSubject>, CacheValue> values = {};
    std::map<std::pair<Epoch, CacheSubject>, Lease> leases = {};
    std::map<CacheSubject, Version> floors = {};
  };

  bool Has(const CacheMarker& marker) const;

  CenterWorld& world_;
  const Place place_;
  std::uint64_t process_ = 0;
  bool runs_ = true;
  bool is_frozen_ = false;
  Instant frozen_since_{};
  Data data_;
  Data copy_;
};

}  // namespace muster::sim
