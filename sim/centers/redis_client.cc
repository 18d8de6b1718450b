#include "centers/redis_client.h"

#include <algorithm>
#include <memory>

namespace muster::sim {
namespace {

// Versions of an identity: see cache/redis/scripts.h.
constexpr Version kNeverChanged{0};
constexpr Version kChangedOrExact{1};

}  // namespace

template <typename T>
void RedisClient::Ask(Instant until, std::move_only_function<T()> work,
                      std::move_only_function<void(std::optional<T>)> reply) {
  const auto lose = [this, until](std::move_only_function<void(std::optional<T>)> to) {
    life_.After(std::max(until - world_.now(), Duration(0)), [to = std::move(to)]() mutable { to(std::nullopt); });
  };
  if (!life_.Acts() || !IsLinked()) return lose(std::move(reply));
  const Duration there = world_.Travel();
  world_.scheduler.After(there, [this, until, lose, work = std::move(work), reply = std::move(reply)]() mutable {
    if (!IsLinked()) return lose(std::move(reply));
    T answer = work();
    const Duration back = world_.Travel();
    const bool is_lost = world_.is_rough && !world_.is_healed && world_.Chance(80);
    if (is_lost || world_.now() + back > until) return lose(std::move(reply));
    life_.After(back, [this, lose, answer = std::move(answer), reply = std::move(reply)]() mutable {
      if (!world_.AreLinked(from_, redis_.place())) return lose(std::move(reply));
      reply(std::move(answer));
    });
  });
}

std::optional<CacheMarker> RedisClient::ReadableMarker() {
  const CacheState state = state_();
  if (state.mode != CacheMode::kOn || world_.now() >= state.valid_until) return std::nullopt;
  if (marker_ && marker_->epoch == state.epoch) return marker_;
  if (!is_looking_) FindMarker(state.epoch, world_.now() + kRequestTimeout, [](std::optional<InvalidationKind>) {});
  return std::nullopt;
}

// None: it is known now. Else what it means that it is not.
void RedisClient::FindMarker(Epoch epoch, Instant until,
                             std::move_only_function<void(std::optional<InvalidationKind>)> found) {
  if (marker_ && marker_->epoch == epoch) return found(std::nullopt);
  is_looking_ = true;
  using Answer = std::optional<CacheMarker>;
  Ask<Answer>(
      until, [this] { return redis_.marker(); },
      [this, epoch, found = std::move(found)](std::optional<Answer> answer) mutable {
        is_looking_ = false;
        if (!answer) return found(InvalidationKind::kUnreachable);
        if (!*answer || (*answer)->epoch != epoch) return found(InvalidationKind::kLost);
        marker_ = **answer;
        found(std::nullopt);
      });
}

void RedisClient::Look(const CacheSubject& subject, bool has_waited, LookupReply reply) {
  const std::optional<CacheMarker> marker = ReadableMarker();
  if (!marker) {
    ++unusable_;
    return reply({}, FillToken(0));
  }
  const std::uint64_t token = world_.random.Next() | 1;
  Ask<RedisTwin::Missed>(
      world_.now() + kRequestTimeout,
      [this, marker = *marker, subject, token] { return redis_.Get(marker, subject, token, kFillLease); },
      [this, marker = *marker, subject, has_waited, token,
       reply = std::move(reply)](std::optional<RedisTwin::Missed> missed) mutable {
        if (!missed || missed->kind == RedisTwin::Miss::kLost) {
          if (missed && marker_ == marker) marker_.reset();
          ++unusable_;
          return reply({}, FillToken(0));
        }
        if (missed->kind == RedisTwin::Miss::kNone && !missed->is_leased && !has_waited) {
          return life_.After(kFillWait, [this, subject, reply = std::move(reply)]() mutable {
            Look(subject, true, std::move(reply));
          });
        }
        reply(*missed, missed->is_leased ? FillToken(token) : FillToken(0));
      });
}

void RedisClient::Get(MemberId id, Deadline /*deadline*/, std::move_only_function<void(MemberLookup)> reply) {
  Look(CacheSubject::Of(id), false,
       [reply = std::move(reply)](const RedisTwin::Missed& missed, FillToken token) mutable {
         switch (missed.kind) {
           case RedisTwin::Miss::kLost:
             return reply({});
           case RedisTwin::Miss::kValue:
             return reply({.kind = LookupKind::kHit, .member = missed.value.member});
           case RedisTwin::Miss::kNone:
             return reply({.kind = LookupKind::kMiss, .floor = missed.floor, .token = token});
         }
       });
}

void RedisClient::FindHolder(const IdentityKey& key, Deadline /*deadline*/,
                             std::move_only_function<void(HolderLookup)> reply) {
  Look(CacheSubject::Of(key), false,
       [reply = std::move(reply)](const RedisTwin::Missed& missed, FillToken token) mutable {
         switch (missed.kind) {
           case RedisTwin::Miss::kLost:
             return reply({});
           case RedisTwin::Miss::kValue:
             return reply({.kind = LookupKind::kHit, .holder = missed.value.holder});
           case RedisTwin::Miss::kNone:
             return reply(
                 {.kind = LookupKind::kMiss, .has_changed_lately = missed.floor > kNeverChanged, .token = token});
         }
       });
}

void RedisClient::Fill(MemberId id, const MemberDocumentRef& document, FillToken token) {
  SendFill(CacheSubject::Of(id), {.version = document ? document->version() : Version(0), .member = document}, token);
}

void RedisClient::FillHolder(const IdentityKey& key, std::optional<MemberId> holder, bool is_exact, FillToken token) {
  const Version version = is_exact || holder ? kChangedOrExact : kNeverChanged;
  SendFill(CacheSubject::Of(key), {.version = version, .holder = holder}, token);
}

void RedisClient::SendFill(const CacheSubject& subject, CacheValue value, FillToken token) {
  const std::optional<CacheMarker> marker = ReadableMarker();
  if (!marker || !life_.Acts() || !IsLinked()) return;
  // However late it arrives; the process does not wait for it.
  world_.scheduler.After(world_.Travel(), [this, marker = *marker, subject, value = std::move(value), token]() mutable {
    if (IsLinked()) redis_.Fill(marker, subject, token.value(), std::move(value));
  });
}

void RedisClient::Invalidate(const TouchedEntries& touched, Deadline deadline,
                             std::move_only_function<void(Invalidation)> reply) {
  const CacheState state = state_();
  if (state.mode == CacheMode::kBypass) return reply({InvalidationKind::kBypassed, state.epoch});
  std::vector<std::pair<CacheSubject, Version>> entries;
  for (const auto& [id, version] : touched.members) entries.emplace_back(CacheSubject::Of(id), version);
  for (const IdentityKey& key : touched.keys) entries.emplace_back(CacheSubject::Of(key), kChangedOrExact);
  FindMarker(state.epoch, deadline.at(),
             [this, epoch = state.epoch, entries = std::move(entries), deadline,
              reply = std::move(reply)](std::optional<InvalidationKind> missing) mutable {
               if (missing) return reply({*missing, epoch});
               SendInvalidation(*marker_, std::move(entries), deadline, std::move(reply));
             });
}

void RedisClient::SendInvalidation(const CacheMarker& marker, std::vector<std::pair<CacheSubject, Version>> entries,
                                   Deadline deadline, std::move_only_function<void(Invalidation)> reply) {
  Ask<bool>(
      deadline.at(), [this, marker, entries = std::move(entries)] { return redis_.Invalidate(marker, entries); },
      [this, marker, reply = std::move(reply)](std::optional<bool> done) mutable {
        if (!done) return reply({InvalidationKind::kUnreachable, marker.epoch});
        if (*done) return reply({InvalidationKind::kDone, marker.epoch});
        if (marker_ == marker) marker_.reset();
        reply({InvalidationKind::kLost, marker.epoch});
      });
}

bool RedisClient::IsReachable() const { return world_.AreLinked(from_, redis_.place()) && redis_.LooksAlive(); }

Result<bool> RedisClient::BeginEpoch(Epoch epoch) {
  if (!life_.Acts() || !IsLinked()) return muster::Fail(Reason::kOverloaded, "the redis is not in reach");
  const RedisTwin::Begun begun = redis_.BeginEpoch(epoch);
  if (begun == RedisTwin::Begun::kRefused) return muster::Fail(Reason::kStateConflict, "a newer epoch is there");
  if (world_.is_rough && !world_.is_healed && world_.Chance(10)) {
    return muster::Fail(Reason::kOverloaded, "the answer was lost");
  }
  return begun == RedisTwin::Begun::kNow;
}

InvalidationKind RedisClient::Probe() {
  const CacheState state = state_();
  if (state.mode == CacheMode::kBypass) return InvalidationKind::kBypassed;
  if (!life_.Acts() || !IsLinked()) return InvalidationKind::kUnreachable;
  const CacheMarker expected = marker_ && marker_->epoch == state.epoch
                                   ? *marker_
                                   : redis_.marker().value_or(CacheMarker{.epoch = Epoch(0), .process = 0});
  if (expected.epoch != state.epoch) return InvalidationKind::kLost;
  return redis_.Invalidate(expected, {}) ? InvalidationKind::kDone : InvalidationKind::kLost;
}

}  // namespace muster::sim
