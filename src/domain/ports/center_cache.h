#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "domain/ids.h"
#include "domain/member_document.h"

namespace muster {

// How far a center's cache may be used. The topology says it, and raises the epoch with BYPASS and with WARMING.
enum class CacheMode : std::uint8_t {
  kOn,       // read, filled and invalidated
  kBypass,   // left alone: out of some writer's reach, or it lost what it had; reads go to the store's primary
  kWarming,  // invalidated, but not read yet: replicas may lack what was written while nobody invalidated
};

struct CacheState {
  Epoch epoch{0};
  CacheMode mode = CacheMode::kBypass;
  // Until when this process may believe it: whoever bypasses a center waits for its readers to hear of it, or for this.
  Instant valid_until = Instant::max();
};

// What the process knows of it now. Thread-safe, and quick.
using CacheStateSource = std::function<CacheState()>;

// The right to fill one entry, given to one reader at a time for a short while. Zero: none.
using FillToken = Strong<struct FillTokenTag, std::uint64_t>;

enum class LookupKind : std::uint8_t {
  kHit,
  kMiss,      // ask a source that is not below the floor; fill with the token, if there is one
  kUnusable,  // bypassed, out of reach, or without what was written: ask the store's primary, and fill nothing
};

struct MemberLookup {
  LookupKind kind = LookupKind::kUnusable;
  MemberDocumentRef member = {};  // of a hit; null: no such member
  Version floor{0};               // of a miss: the lowest version that may be answered
  FillToken token = {};           // of a miss
};

struct HolderLookup {
  LookupKind kind = LookupKind::kUnusable;
  // Of a hit. A hint, to be believed only when that member's own entry lists the identity. Empty: nobody holds it,
  // which may be believed.
  std::optional<MemberId> holder = {};
  // Of a miss: it was bound or unbound lately, so only the primary may say that nobody holds it.
  bool has_changed_lately = false;
  FillToken token = {};
};

// What a committed write has touched.
struct TouchedEntries {
  std::vector<std::pair<MemberId, Version>> members = {};  // with the version committed
  std::vector<IdentityKey> keys = {};                      // bound or unbound
};

enum class InvalidationKind : std::uint8_t {
  kDone,         // no reader that starts now finds what is older
  kBypassed,     // the center's cache is in BYPASS: readers must have confirmed its epoch
  kLost,         // the cache lacks what was written before: it must be bypassed
  kUnreachable,  // not done, or nobody knows: again, or it must be bypassed
};

struct Invalidation {
  InvalidationKind kind = InvalidationKind::kUnreachable;
  Epoch epoch{0};  // under which it was tried
};

// The cache of a center, which its processes share: never stale whatever it forgets, by floors, leases and epochs
// (models/cache_fill.pml). After Invalidate of version v is kDone, no Get that begins later answers a lower one.
//
// Belongs to one event loop and is called on its thread. Replies come once, on that thread, possibly during the call;
// the cache must outlive them.
class CenterCache {
 public:
  virtual ~CenterCache() = default;

  virtual void Get(MemberId id, Deadline deadline, std::move_only_function<void(MemberLookup)> reply) = 0;
  virtual void FindHolder(const IdentityKey& key, Deadline deadline,
                          std::move_only_function<void(HolderLookup)> reply) = 0;

  // Offers what a source answered that was asked after the token was given (of a Resolve: within the time that the
  // cache's floors allow for). Refused, silently, when it is below the floor or the token is void. A null document
  // fills "does not exist".
  virtual void Fill(MemberId id, const MemberDocumentRef& document, FillToken token) = 0;
  // `holder` empty: nobody holds it; `is_exact`: the store's primary says so.
  virtual void FillHolder(const IdentityKey& key, std::optional<MemberId> holder, bool is_exact, FillToken token) = 0;

  // Between the commit and its acknowledgement. May be repeated, late, and in any order.
  virtual void Invalidate(const TouchedEntries& touched, Deadline deadline,
                          std::move_only_function<void(Invalidation)> reply) = 0;

  // Counters by name, for the route that asks it.
  virtual std::vector<std::pair<std::string, std::uint64_t>> Counters() const = 0;
};

}  // namespace muster
