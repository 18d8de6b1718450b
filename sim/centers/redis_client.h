#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "centers/center_world.h"
#include "centers/redis_twin.h"
#include "domain/ports/center_cache.h"

namespace muster::sim {

// The cache of a center as one process reaches it: the steps of cache/redis/center.cc and center_writer.cc over the
// twin, with messages that travel, and are lost.
class RedisClient final : public CenterCache {
 public:
  RedisClient(CenterWorld& world, RedisTwin& redis, ProcessLife& life, Place from, CacheStateSource state)
      : world_(world), redis_(redis), life_(life), from_(from), state_(std::move(state)) {}

  void Get(MemberId id, Deadline deadline, std::move_only_function<void(MemberLookup)> reply) override;
  void FindHolder(const IdentityKey& key, Deadline deadline,
                  std::move_only_function<void(HolderLookup)> reply) override;
  void Fill(MemberId id, const MemberDocumentRef& document, FillToken token) override;
  void FillHolder(const IdentityKey& key, std::optional<MemberId> holder, bool is_exact, FillToken token) override;
  void Invalidate(const TouchedEntries& touched, Deadline deadline,
                  std::move_only_function<void(Invalidation)> reply) override;
  std::vector<std::pair<std::string, std::uint64_t>> Counters() const override { return {{"unusable", unusable_}}; }

  // As RedisCenterCache, at once: what the keeper waits for.
  bool IsReachable() const;
  Result<bool> BeginEpoch(Epoch epoch);
  InvalidationKind Probe();

  // Lookups that the cache could not be used for.
  std::uint64_t unusable() const { return unusable_; }

 private:
  static constexpr Duration kRequestTimeout = std::chrono::milliseconds(50);
  static constexpr Duration kFillLease = std::chrono::seconds(2);
  static constexpr Duration kFillWait = std::chrono::milliseconds(5);

  using LookupReply = std::move_only_function<void(const RedisTwin::Missed&, FillToken)>;
  void Look(const CacheSubject& subject, bool has_waited, LookupReply reply);
  void SendFill(const CacheSubject& subject, CacheValue value, FillToken token);
  void SendInvalidation(const CacheMarker& marker, std::vector<std::pair<CacheSubject, Version>> entries,
                        Deadline deadline, std::move_only_function<void(Invalidation)> reply);
  // Goes there, does `work` at Redis, and comes back with what it says; none: not by `until`.
  template <typename T>
  void Ask(Instant until, std::move_only_function<T()> work, std::move_only_function<void(std::optional<T>)> reply);
  // The epoch that may be read, if its marker is known; it is looked for, else.
  std::optional<CacheMarker> ReadableMarker();
  void FindMarker(Epoch epoch, Instant until, std::move_only_function<void(std::optional<InvalidationKind>)> found);
  bool IsLinked() const { return world_.AreLinked(from_, redis_.place()) && redis_.Answers(); }

  CenterWorld& world_;
  RedisTwin& redis_;
  ProcessLife& life_;
  const Place from_;
  const CacheStateSource state_;
  std::optional<CacheMarker> marker_;
  bool is_looking_ = false;
  std::uint64_t unusable_ = 0;
};

}  // namespace muster::sim
