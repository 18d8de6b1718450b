#include "domain/id_allocator.h"

#include <algorithm>

#include "base/check.h"

namespace muster {

namespace {

constexpr int kCounterBits = 12;
constexpr int kNodeBits = 8;
constexpr std::uint64_t kCounterMask = (std::uint64_t{1} << kCounterBits) - 1;
constexpr std::uint64_t kNodeMask = (std::uint64_t{1} << kNodeBits) - 1;
// Half of a millisecond's numbers stay free above the place where it begins.
constexpr std::uint64_t kFirstCounterMask = kCounterMask >> 1;
constexpr std::uint64_t kTickLimit = std::uint64_t{1} << 55;  // 43 bits of milliseconds, 12 of sequence: the year 2248

// A tick is a number without its node: milliseconds << 12 | sequence.
std::int64_t IdOf(std::uint64_t tick, std::uint64_t node) {
  MUSTER_CHECK(tick < kTickLimit);
  return static_cast<std::int64_t>((tick >> kCounterBits) << (kCounterBits + kNodeBits) | node << kCounterBits |
                                   (tick & kCounterMask));
}

std::uint64_t TickOf(std::int64_t id) {
  const auto bits = static_cast<std::uint64_t>(id);
  return (bits >> (kCounterBits + kNodeBits)) << kCounterBits | (bits & kCounterMask);
}

std::uint64_t NodeOf(std::int64_t id) { return static_cast<std::uint64_t>(id) >> kCounterBits & kNodeMask; }

// The first tick of a moment. A clock before 1970 is a clock that has not been set: numbers then begin at 1970.
std::uint64_t FirstTickAt(Timestamp now, std::uint64_t first_sequence) {
  const std::int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(now_ms, 1)) << kCounterBits | first_sequence;
}

}  // namespace

IdAllocator::IdAllocator(const Clock& clock, std::uint8_t node, std::uint16_t first_sequence, std::int64_t above)
    : clock_(clock), node_(node), first_sequence_(first_sequence & kFirstCounterMask), last_(TickOf(above)) {
  MUSTER_CHECK(node < kRangeNode && above >= 0);
}

std::int64_t IdAllocator::Next() {
  const std::uint64_t now = FirstTickAt(clock_.Now(), first_sequence_);
  std::lock_guard lock(mutex_);
  last_ = std::max(last_ + 1, now);
  return IdOf(last_, node_);
}

std::optional<std::int64_t> IdAllocator::FirstOfRange(Timestamp now, std::uint16_t first_sequence, std::int64_t after,
                                                      std::uint64_t count) {
  MUSTER_CHECK(count >= 1 && count <= std::uint64_t{1} << 32 && (after == 0 || IsOfRange(after)));
  const std::uint64_t first = std::max(TickOf(after) + 1, FirstTickAt(now, first_sequence & kFirstCounterMask));
  if (first >= kTickLimit - count) return std::nullopt;
  return IdOf(first, kRangeNode);
}

std::int64_t IdAllocator::IdOfRange(std::int64_t first, std::uint64_t index) {
  return IdOf(TickOf(first) + index, NodeOf(first));
}

bool IdAllocator::IsOfRange(std::int64_t id) { return NodeOf(id) == kRangeNode; }

Timestamp IdAllocator::TimeOf(std::int64_t id) {
  return Timestamp(std::chrono::milliseconds(id >> (kCounterBits + kNodeBits)));
}

std::int64_t IdAllocator::LowestAt(Timestamp time) {
  const std::int64_t milliseconds = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
  return IdOf(static_cast<std::uint64_t>(std::max<std::int64_t>(milliseconds, 0)) << kCounterBits, 0);
}

}  // namespace muster
