#include "topology/writer_lease.h"

#include <algorithm>
#include <chrono>

namespace muster {
namespace {

constexpr std::int64_t kClockSpeedDivisor = 100;
constexpr std::int64_t kRenewalsOfLease = 4;

Duration LeaseOf(const TopologyDocument& document) { return std::chrono::milliseconds(document.lease_ms); }

}  // namespace

bool WriterLeaseKeeper::MayWrite(const TopologyDocument& document) const {
  if (document.epoch.value() < epoch_.load(std::memory_order_relaxed)) return false;
  if (center_.empty()) return document.centers.empty();
  return !document.writer.empty() && std::ranges::count(document.centers, center_) > 0;
}

void WriterLeaseKeeper::Confirm(const TopologyDocument& document, Instant sent) {
  const std::int64_t epoch = document.epoch.value();
  const bool may_write = MayWrite(document);
  if (!may_write || epoch != epoch_.load(std::memory_order_relaxed)) {
    valid_until_.store(Instant::min(), std::memory_order_release);
    // Also that of others: none that is older may come back.
    epoch_.store(std::max(epoch, epoch_.load(std::memory_order_relaxed)), std::memory_order_release);
  }
  if (!may_write) return;
  valid_until_.store(term_ == LeaseTerm::kWhileDataHeld ? Instant::max() : sent + LeaseOf(document),
                     std::memory_order_release);
}

WriterLease WriterLeaseKeeper::current() const {
  // Again only when the epoch moved in between, which is as often as it moves.
  while (true) {
    const std::int64_t before = epoch_.load(std::memory_order_acquire);
    const Instant valid_until = valid_until_.load(std::memory_order_acquire);
    if (epoch_.load(std::memory_order_relaxed) == before) {
      return {.epoch = Epoch(before), .valid_until = valid_until};
    }
  }
}

Duration WaitAfterMove(const TopologyDocument& before) {
  const Duration lease = LeaseOf(before);
  return lease + lease / kClockSpeedDivisor + std::chrono::milliseconds(1);
}

Duration RenewalPeriod(const TopologyDocument& document) { return LeaseOf(document) / kRenewalsOfLease; }

}  // namespace muster
