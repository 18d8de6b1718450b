#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "domain/ids.h"

namespace muster {

// Time-ordered 63-bit numbers: 43 bits of milliseconds since 1970, 8 of the node, 12 of a sequence. Strictly increasing
// within a process; a clock that steps back, or more than 4,096 a millisecond, runs ahead of the clock instead of
// repeating. Thread-safe; the next member of a B-tree is always at its right edge, which is what makes inserts cheap.
class IdAllocator {
 public:
  // The lines of imports have numbers of a space of their own (ports/import_ranges.h), as if of one more node: no
  // allocator gives them out, and however many are taken, the allocators stay with the clock.
  static constexpr std::uint8_t kRangeNode = 255;

  // `node` is below kRangeNode. All numbers are above `above`: with the newest one that the data knows, a clock that
  // was set back across a restart repeats nothing. Every millisecond's sequence begins at `first_sequence` (its low 11
  // bits), which differs between runs (a random number): what was given out and never committed is rarely met again.
  IdAllocator(const Clock& clock, std::uint8_t node, std::uint16_t first_sequence, std::int64_t above = 0);

  MemberId NextMemberId() { return MemberId(Next()); }
  OperationId NextOperationId() { return OperationId(Next()); }

  // The first number of a range of `count` (1 to 2^32), of which the i-th (from 0) is IdOfRange(first, i): it begins
  // now, or behind `after` (a number of a range; 0: none) when that is later. None: there are no such numbers any more.
  static std::optional<std::int64_t> FirstOfRange(Timestamp now, std::uint16_t first_sequence, std::int64_t after,
                                                  std::uint64_t count);
  static std::int64_t IdOfRange(std::int64_t first, std::uint64_t index);
  static bool IsOfRange(std::int64_t id);

  // When a number was allocated (to the millisecond).
  static Timestamp TimeOf(std::int64_t id);
  // The lowest number of that millisecond: lower ones were allocated before it. Times before 1970 count as 1970.
  static std::int64_t LowestAt(Timestamp time);

 private:
  std::int64_t Next();

  const Clock& clock_;
  const std::uint8_t node_;
  const std::uint64_t first_sequence_;
  std::mutex mutex_;
  std::uint64_t last_;  // milliseconds << 12 | sequence
};

}  // namespace muster
