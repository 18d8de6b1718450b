#include "domain/id_allocator.h"

#include <algorithm>

#include "base/check.h"

namespace muster {

namespace {

constexpr int kSequenceBits = 12;
constexpr int kNodeBits = 8;
constexpr std::uint64_t kSequenceMask = (std::uint64_t{1} << kSequenceBits) - 1;
constexpr std::uint64_t kNodeMask = (std::uint64_t{1} << kNodeBits) - 1;
// Half of a millisecond's numbers stay free above the place where it begins.
constexpr std::uint64_t kFirstSequenceMask = kSequenceMask >> 1;
constexpr std::uint64_t kTickLimit = std::uint64_t{1} << 55;  // 43 bits of milliseconds, 12 of sequence: the year 2248

// A tick is a number without its node: milliseconds << 12 | sequence.
std::int64_t Compose(std::uint64_t tick, std::uint64_t node) {
  MUSTER_CHECK(tick < kTickLimit);
  return static_cast<std::int64_t>((tick >> kSequenceBits) << (kSequenceBits + kNodeBits) | node << kSequenceBits |
                                   (tick & kSequenceMask));
}

}  // namespace

IdAllocator::IdAllocator(const Clock& clock, std::uint8_t node, std::uint16_t first_sequence)
    : clock_(clock), node_(node), first_sequence_(first_sequence & kFirstSequenceMask) {}

std::int64_t IdAllocator::ReserveRange(std::uint64_t count) {
  MUSTER_CHECK(count >= 1 && count <= std::uint64_t{1} << 32);
  // A clock before 1970 is a clock that has not been set: the numbers then begin at 1970.
  const std::int64_t now_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(clock_.Now().time_since_epoch()).count();
  const std::uint64_t now = static_cast<std::uint64_t>(std::max<std::int64_t>(now_ms, 1));

  std::lock_guard lock(mutex_);
  const std::uint64_t first = std::max(last_ + 1, now << kSequenceBits | first_sequence_);
  last_ = first + count - 1;
  MUSTER_CHECK(last_ < kTickLimit);
  return Compose(first, node_);
}

std::int64_t IdAllocator::IdOfRange(std::int64_t first, std::uint64_t index) {
  const auto bits = static_cast<std::uint64_t>(first);
  const std::uint64_t tick = (bits >> (kSequenceBits + kNodeBits)) << kSequenceBits | (bits & kSequenceMask);
  return Compose(tick + index, bits >> kSequenceBits & kNodeMask);
}

Timestamp IdAllocator::TimeOf(std::int64_t id) {
  return Timestamp(std::chrono::milliseconds(id >> (kSequenceBits + kNodeBits)));
}

std::int64_t IdAllocator::LowestAt(Timestamp time) {
  const std::int64_t milliseconds = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
  return Compose(static_cast<std::uint64_t>(std::max<std::int64_t>(milliseconds, 0)) << kSequenceBits, 0);
}

}  // namespace muster
