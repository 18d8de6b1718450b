#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "domain/ids.h"
#include "domain/ports/shard_rows.h"

namespace muster {

// What keeps the databases of a ShardStore tidy: walks over what crashes leave behind, and an end for what is kept for
// a while only. For the sweeper, one database at a time; what it then changes are transactions. Thread-safe.
class ShardUpkeep {
 public:
  struct LookupEntry {
    IdentityKey key;
    LookupRow row;
  };
  using Forgotten = std::move_only_function<void(Result<std::uint64_t>)>;

  virtual ~ShardUpkeep() = default;

  // Lookup rows: those with a key above `after`, in key order, at most `limit`. May block on the store; need not be one
  // snapshot with anything else.
  virtual Result<std::vector<LookupEntry>> ScanLookups(std::uint32_t database, const IdentityKey& after,
                                                       std::size_t limit) = 0;
  // Members with a MoveMark, with an id above `after`, in the order of their ids, at most `limit`. As ScanLookups.
  virtual Result<std::vector<MemberId>> ScanMarked(std::uint32_t database, MemberId after, std::size_t limit) = 0;
  // Forgets outcomes recorded before `before`, by the clock of ShardStore::Now, a bounded number at a time; answers how
  // many (none: there are no more). Those of operations that are known to be under way stay. `done` is called once, on
  // any thread.
  virtual void ForgetOperations(std::uint32_t database, Timestamp before, Forgotten done) = 0;
  // The same for answers that were kept before `before`.
  virtual void ForgetAnswers(std::uint32_t database, Timestamp before, Forgotten done) = 0;
};

}  // namespace muster
