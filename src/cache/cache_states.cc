#include "cache/cache_states.h"

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "topology/writer_lease.h"

namespace muster {
namespace {

// Epochs count bypasses: they have room below the mode.
constexpr int kModeBits = 2;

std::int64_t Pack(Epoch epoch, CacheMode mode) {
  return (epoch.value() << kModeBits) | static_cast<std::int64_t>(mode);
}

}  // namespace

CacheStates::CacheStates(TopologyWatcher& watcher, const Clock& clock, const std::vector<std::string>& centers)
    : watcher_(watcher), clock_(clock) {
  for (const std::string& center : centers) {
    auto& one = *centers_.emplace_back(std::make_unique<Center>());
    one.name = center;
    one.packed = Pack(Epoch(0), CacheMode::kBypass);
  }
  subscription_ = watcher.Subscribe([this](const auto& document) { Take(*document); });
  Take(*watcher.snapshot());
}

void CacheStates::Take(const TopologyDocument& document) {
  const Instant now = clock_.Monotonic();
  std::lock_guard lock(mutex_);
  if (document.revision < revision_) return;  // the first snapshot, when a newer one has been told meanwhile
  revision_ = document.revision;
  lease_ms_.store(document.lease_ms, std::memory_order_relaxed);
  for (const auto& center : centers_) {
    const CacheRecord* const record = document.FindCache(center->name);
    if (record == nullptr || record->epoch < center->epoch) continue;
    if (record->epoch > center->epoch) {
      center->epoch = record->epoch;
      center->first_seen = now;
      center->lease = WaitAfterMove(document);
    }
    center->packed.store(Pack(record->epoch, record->mode), std::memory_order_release);
  }
}

CacheStates::Center& CacheStates::Find(const std::string& center) const {
  const auto found = std::ranges::find(centers_, center, [](const auto& one) { return one->name; });
  MUSTER_CHECK(found != centers_.end());
  return **found;
}

CacheStateSource CacheStates::Of(const std::string& center) const {
  return [this, &one = Find(center)]() -> CacheState {
    // The time first: what is read after it is at least as new as the document that it confirms.
    const Instant confirmed = watcher_.confirmed_at();
    const std::int64_t packed = one.packed.load(std::memory_order_acquire);
    return {.epoch = Epoch(packed >> kModeBits),
            .mode = static_cast<CacheMode>(packed & ((1 << kModeBits) - 1)),
            .valid_until = confirmed + std::chrono::milliseconds(lease_ms_.load(std::memory_order_relaxed))};
  };
}

Instant CacheStates::ForgottenBelow(const std::string& center, Epoch epoch) const {
  const Center& one = Find(center);
  std::lock_guard lock(mutex_);
  return one.epoch < epoch ? Instant::max() : one.first_seen + one.lease;
}

}  // namespace muster
