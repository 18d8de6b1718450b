#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "domain/ports/center_cache.h"

namespace muster::testing {

// What the processes of a center share: the memory twin of its Redis. Of one thread.
class MemoryCenter {
 public:
  static constexpr Duration kLease = std::chrono::seconds(2);
  static constexpr Duration kFloorLife = std::chrono::seconds(60);

  explicit MemoryCenter(const Clock& clock) : clock_(clock) {}

  // As RedisCenterCache::BeginEpoch; empty: refused.
  std::optional<bool> BeginEpoch(Epoch epoch) {
    if (epoch == marker_) return false;
    if (epoch < marker_) return std::nullopt;
    Forget();
    marker_ = epoch;
    return true;
  }
  // As FLUSHALL.
  void Forget() {
    marker_ = Epoch(0);
    members_.clear();
    holders_.clear();
  }
  void SetReachable(bool is_reachable) { is_reachable_ = is_reachable; }

 private:
  friend class MemoryCenterCache;
  template <typename Value>
  struct Entry {
    std::optional<std::pair<Version, Value>> value = {};
    Version floor{0};
    Instant floor_until = Instant::min();
    FillToken token = {};
    Instant token_until = Instant::min();
  };

  bool IsOf(Epoch epoch) const { return is_reachable_ && epoch == marker_; }

  template <typename Value>
  Version FloorOf(const Entry<Value>& entry) const {
    return clock_.Monotonic() < entry.floor_until ? entry.floor : Version(0);
  }
  template <typename Value>
  FillToken Lease(Entry<Value>& entry) {
    const Instant now = clock_.Monotonic();
    if (entry.token != FillToken(0) && now < entry.token_until) return {};
    entry.token_until = now + kLease;
    return entry.token = FillToken(next_token_++);
  }
  template <typename Value>
  void Fill(Entry<Value>& entry, Version version, Value value, FillToken token) {
    if (token == FillToken(0) || entry.token != token || clock_.Monotonic() >= entry.token_until) return;
    entry.token = {};
    if (version < FloorOf(entry) || (entry.value && version < entry.value->first)) return;
    entry.value.emplace(version, std::move(value));
  }
  template <typename Value>
  void Invalidate(Entry<Value>& entry, Version version, bool drops_all) {
    entry.floor = std::max(FloorOf(entry), version);
    entry.floor_until = clock_.Monotonic() + kFloorLife;
    if (drops_all || (entry.value && entry.value->first < version)) entry.value.reset();
    entry.token = {};
  }

  const Clock& clock_;
  Epoch marker_{0};
  bool is_reachable_ = true;
  std::map<MemberId, Entry<MemberDocumentRef>> members_;
  std::map<IdentityKey, Entry<std::optional<MemberId>>> holders_;
  std::uint64_t next_token_ = 1;
};

// The memory twin of a process's view of it: answers during the call.
class MemoryCenterCache final : public CenterCache {
 public:
  MemoryCenterCache(MemoryCenter& center, CacheStateSource state) : center_(center), state_(std::move(state)) {}

  void Get(MemberId id, Deadline, std::move_only_function<void(MemberLookup)> reply) override {
    if (!IsReadable()) return reply({});
    auto& entry = center_.members_[id];
    if (entry.value) return reply({.kind = LookupKind::kHit, .member = entry.value->second});
    reply({.kind = LookupKind::kMiss, .floor = center_.FloorOf(entry), .token = center_.Lease(entry)});
  }
  void FindHolder(const IdentityKey& key, Deadline, std::move_only_function<void(HolderLookup)> reply) override {
    if (!IsReadable()) return reply({});
    auto& entry = center_.holders_[key];
    if (entry.value) return reply({.kind = LookupKind::kHit, .holder = entry.value->second});
    reply({.kind = LookupKind::kMiss,
           .has_changed_lately = center_.FloorOf(entry) > Version(0),
           .token = center_.Lease(entry)});
  }
  void Fill(MemberId id, const MemberDocumentRef& document, FillToken token) override {
    if (!IsReadable()) return;
    center_.Fill(center_.members_[id], document ? document->version() : Version(0), document, token);
  }
  void FillHolder(const IdentityKey& key, std::optional<MemberId> holder, bool is_exact, FillToken token) override {
    if (!IsReadable()) return;
    center_.Fill(center_.holders_[key], is_exact || holder ? Version(1) : Version(0), holder, token);
  }
  void Invalidate(const TouchedEntries& touched, Deadline, std::move_only_function<void(Invalidation)> reply) override {
    const CacheState state = state_();
    if (state.mode == CacheMode::kBypass) return reply({InvalidationKind::kBypassed, state.epoch});
    if (!center_.is_reachable_) return reply({InvalidationKind::kUnreachable, state.epoch});
    if (!center_.IsOf(state.epoch)) return reply({InvalidationKind::kLost, state.epoch});
    for (const auto& [id, version] : touched.members) center_.Invalidate(center_.members_[id], version, false);
    for (const IdentityKey& key : touched.keys) center_.Invalidate(center_.holders_[key], Version(1), true);
    reply({InvalidationKind::kDone, state.epoch});
  }
  std::vector<std::pair<std::string, std::uint64_t>> Counters() const override { return {}; }

 private:
  bool IsReadable() const {
    const CacheState state = state_();
    return state.mode == CacheMode::kOn && center_.clock_.Monotonic() < state.valid_until && center_.IsOf(state.epoch);
  }

  MemoryCenter& center_;
  const CacheStateSource state_;
};

}  // namespace muster::testing
