#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/strong.h"
#include "domain/ids.h"

namespace muster {

// A moment in the order of this process's commits.
using CommitSequence = Strong<struct CommitSequenceTag, std::uint64_t>;

// What makes an exact cache possible inside one process: remembers, for every member and identity (by hash, in a fixed
// table), the last commit that touched it, and whether one is under way.
//
//   writer:  Begin(keys) → [erase the keys from caches] → commit → End(keys) → acknowledge
//   reader:  as_of = Now() → open snapshot → read → fill only if Allows(key, as_of)
//
// A snapshot opened after `as_of` sees every commit up to it. A key that was touched later, or is being touched, is
// refused to the fill; so what the cache holds is always the latest committed state. Two keys that share a slot only
// cost each other a refused fill. Thread-safe and lock-free; 2^16 slots, 512 KiB.
class CommitFloor {
 public:
  CommitFloor();
  ~CommitFloor();

  CommitSequence Now() const;

  // Between Begin and End of a key, no fill of it is allowed. Nests: up to 65,535 writers may hold one slot. Give End
  // exactly what Begin was given, also when the commit failed.
  void Begin(std::span<const MemberId> members, std::span<const IdentityKey> keys);
  void End(std::span<const MemberId> members, std::span<const IdentityKey> keys);

  bool Allows(MemberId id, CommitSequence as_of) const;
  bool Allows(const IdentityKey& key, CommitSequence as_of) const;

 private:
  static constexpr std::size_t kSlotCount = std::size_t{1} << 16;
  struct Table;
  std::unique_ptr<Table> table_;
};

}  // namespace muster
