#include "domain/commit_floor.h"

#include <algorithm>

#include "base/check.h"

namespace muster {

namespace {

// A slot's word: the number of writers under way in the high 16 bits, the sequence of the last End in the low 48 (2^48
// commits last for 89 years at 100,000 a second).
constexpr int kSequenceBits = 48;
constexpr std::uint64_t kOneWriter = std::uint64_t{1} << kSequenceBits;
constexpr std::uint64_t kSequenceMask = kOneWriter - 1;

}  // namespace

// Why a fill that Allows() lets through is never stale, for a reader R and the writer W of one key:
//
//  * R's snapshot does not contain W's commit. The store orders the two (a snapshot that does not see a commit was
//  opened
//    before it, and both synchronise on the store's lock), so
//      R: Now() → open snapshot → W: commit → W: End increments `clock`
//    is a happens-before chain: R's `as_of` is below W's sequence. R's fill, in the cache's critical section for that
//    key, then
//    - came before W's Erase of the key in the order of that critical section: Erase removes it; or
//    - came after it. W's Begin happened before its Erase, so Allows() reads a word with W's writer in it (refused), or
//    a later
//      one of the slot's modification order; the writer is only taken out together with a sequence ≥ W's, which is
//      above `as_of` (refused).
//  * R's snapshot contains W's commit: the fill is as new as W's.
//
// And no fill is refused for ever: End publishes `clock` before it takes the writer out, so whoever calls Now() after
// End has an `as_of` that the slot's sequence does not exceed.
//
// The chain needs acquire and release only. All operations are sequentially consistent nevertheless: on x86-64 the
// loads cost the same, and the writers' read-modify-writes are full barriers anyway.
struct CommitFloor::Table {
  std::atomic<std::uint64_t> clock{0};
  std::array<std::atomic<std::uint64_t>, kSlotCount> slots{};

  std::atomic<std::uint64_t>& SlotOf(MemberId id) { return slots[Mix64(static_cast<std::uint64_t>(id.value())) >> 48]; }
  std::atomic<std::uint64_t>& SlotOf(const IdentityKey& key) { return slots[key.Hash() >> 48]; }

  static void Begin(std::atomic<std::uint64_t>& slot) {
    const std::uint64_t before = slot.fetch_add(kOneWriter);
    MUSTER_CHECK((before >> kSequenceBits) != 0xffff);
  }

  static void End(std::atomic<std::uint64_t>& slot, std::uint64_t sequence) {
    std::uint64_t before = slot.load();
    std::uint64_t after = 0;
    do {
      MUSTER_CHECK((before >> kSequenceBits) != 0);
      const std::uint64_t writers_left = (before >> kSequenceBits) - 1;
      after = writers_left << kSequenceBits | std::max(before & kSequenceMask, sequence);
    } while (!slot.compare_exchange_weak(before, after));
  }

  static bool Allows(const std::atomic<std::uint64_t>& slot, CommitSequence as_of) {
    // With a writer under way the word is above every sequence.
    return slot.load() <= as_of.value();
  }
};

CommitFloor::CommitFloor() : table_(std::make_unique<Table>()) {
  static_assert(kSlotCount == std::size_t{1} << 16, "SlotOf takes 16 bits of the hash");
}

CommitFloor::~CommitFloor() = default;

CommitSequence CommitFloor::Now() const { return CommitSequence(table_->clock.load()); }

void CommitFloor::Begin(std::span<const MemberId> members, std::span<const IdentityKey> keys) {
  for (const MemberId id : members) Table::Begin(table_->SlotOf(id));
  for (const IdentityKey& key : keys) Table::Begin(table_->SlotOf(key));
}

void CommitFloor::End(std::span<const MemberId> members, std::span<const IdentityKey> keys) {
  const std::uint64_t sequence = table_->clock.fetch_add(1) + 1;
  for (const MemberId id : members) Table::End(table_->SlotOf(id), sequence);
  for (const IdentityKey& key : keys) Table::End(table_->SlotOf(key), sequence);
}

bool CommitFloor::Allows(MemberId id, CommitSequence as_of) const { return Table::Allows(table_->SlotOf(id), as_of); }

bool CommitFloor::Allows(const IdentityKey& key, CommitSequence as_of) const {
  return Table::Allows(table_->SlotOf(key), as_of);
}

}  // namespace muster
