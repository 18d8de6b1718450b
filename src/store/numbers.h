#pragma once

#include <chrono>
#include <cstdint>

#include "domain/id_allocator.h"

namespace muster {

// Whether a data file can hold this number of an operation, or zero for none. Numbers of times after 2200-01-01 come
// from damage or from a clock that is wrong.
inline bool IsPlausibleNumber(std::int64_t number) {
  constexpr Timestamp kTimeMax{std::chrono::seconds(7'258'118'400)};
  return number >= 0 && IdAllocator::TimeOf(number) <= kTimeMax;
}

// Whether a data file can hold this row of import_range.
inline bool IsPlausibleRange(std::int64_t first, std::int64_t lines) {
  constexpr std::int64_t kLinesMax = std::int64_t{1} << 32;
  return IsPlausibleNumber(first) && IdAllocator::IsOfRange(first) && lines >= 1 && lines <= kLinesMax;
}

}  // namespace muster
