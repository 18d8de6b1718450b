#pragma once

#include <cstdint>
#include <mutex>

#include "base/clock.h"
#include "domain/ids.h"

namespace muster {

// Time-ordered 63-bit numbers: 43 bits of milliseconds since 1970, 8 of the node, 12 of a sequence. Strictly increasing
// within a process; a clock that steps back, or more than 4,096 a millisecond, runs ahead of the clock instead of
// repeating. Thread-safe; the next member of a B-tree is always at its right edge, which is what makes inserts cheap.
class IdAllocator {
 public:
  // Every millisecond's sequence begins at `first_sequence` (its low 11 bits), which differs between runs (a random
  // number), so that a clock set back across a restart rarely collides.
  IdAllocator(const Clock& clock, std::uint8_t node, std::uint16_t first_sequence);

  MemberId NextMemberId() { return MemberId(Next()); }
  OperationId NextOperationId() { return OperationId(Next()); }

  // `count` (1 to 2^32) numbers of which the i-th (from 0) is IdOfRange(first, i); none of them is given out otherwise.
  std::int64_t ReserveRange(std::uint64_t count);
  static std::int64_t IdOfRange(std::int64_t first, std::uint64_t index);

  // When a number was allocated (to the millisecond).
  static Timestamp TimeOf(std::int64_t id);
  // The lowest number of that millisecond: lower ones were allocated before it. Times before 1970 count as 1970.
  static std::int64_t LowestAt(Timestamp time);

 private:
  std::int64_t Next() { return ReserveRange(1); }

  const Clock& clock_;
  const std::uint8_t node_;
  const std::uint64_t first_sequence_;
  std::mutex mutex_;
  std::uint64_t last_ = 0;  // milliseconds << 12 | sequence
};

}  // namespace muster
