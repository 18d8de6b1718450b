#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "domain/commit_floor.h"
#include "domain/ids.h"
#include "domain/member_document.h"

namespace muster {

// A store of documents that may forget anything at any time and never answers something that is no longer true.
// Thread-safe.
class MemberCache {
 public:
  virtual ~MemberCache() = default;

  // Null reference inside the optional: known not to exist. Empty optional: not known.
  virtual std::optional<MemberDocumentRef> Find(MemberId id) = 0;
  // The same for whoever holds `key`; a hint that its member's own entry does not confirm is not known.
  virtual std::optional<MemberDocumentRef> FindHolder(const IdentityKey& key) = 0;

  // Offers what a source answered. Refused, silently, when a commit newer than `as_of` has touched it or the cache
  // holds a higher version. A null document fills "does not exist".
  virtual void Fill(MemberId id, const MemberDocumentRef& document, CommitSequence as_of) = 0;
  virtual void FillHolder(const IdentityKey& key, const MemberDocumentRef& document, CommitSequence as_of) = 0;

  // Called by the writer between CommitFloor::Begin and the commit.
  virtual void Erase(std::span<const MemberId> members, std::span<const IdentityKey> keys) = 0;

  struct Stats {
    std::uint64_t hits = 0, misses = 0, fills = 0, fills_refused = 0, evictions = 0, entries = 0, bytes = 0,
                  bytes_max = 0;
  };
  virtual Stats ReadStats() const = 0;
};

}  // namespace muster
