#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"

namespace muster {

// Which numbers were given to imports, a number for each line: kept with the data, so that no number is given twice,
// whatever the clock says, and so that data that does not know a range (a backup from before it was given) says so.
// Thread-safe.
class ImportRanges {
 public:
  using Given = std::move_only_function<void(Result<std::int64_t>)>;

  virtual ~ImportRanges() = default;

  // Gives a number to each of `lines` (1 to 2^32) lines: that of line i (from 0) is IdAllocator::IdOfRange(first, i).
  // `given` is called once, on any thread, with the first, after it is durable that they are given; or with OVERLOADED,
  // WRITES_UNAVAILABLE (none were given), OUTCOME_UNKNOWN (some may have been, to nobody), LIMIT_EXCEEDED (there are no
  // numbers left: after the year 2248).
  virtual void Reserve(std::uint64_t lines, Given given) = 0;

  // How many lines the range has whose first number is `first`; 0 when no such range was given. May block on the store.
  virtual Result<std::uint64_t> CountLines(std::int64_t first) = 0;
};

}  // namespace muster
