#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>

#include "base/random.h"
#include "base/strong.h"

namespace muster {

// A member's number: any positive 63-bit integer. Allocated ones are time-ordered (IdAllocator); imported ones are
// kept.
using MemberId = Strong<struct MemberIdTag, std::int64_t>;

// How many committed changes a member has had; its first state has version 1.
using Version = Strong<struct VersionTag, std::int64_t>;

// The revision of the topology under which a center may write; it only grows.
using Epoch = Strong<struct EpochTag, std::int64_t>;

// One attempt at a write: time-ordered, unique over all processes, so that an operation's age can be bounded.
using OperationId = Strong<struct OperationIdTag, std::int64_t>;

// One of the 1,024 logical shards over which members and identities are spread.
inline constexpr std::uint16_t kShardCount = 1024;
using ShardId = Strong<struct ShardIdTag, std::uint16_t>;

// A keyed hash of an identity (HMAC-SHA-256 over kind, platform and normalised value, 128 bits): what everything
// outside the member's own sealed record knows of it.
struct IdentityKey {
  std::array<std::uint8_t, 16> bytes{};
  friend auto operator<=>(const IdentityKey&, const IdentityKey&) = default;

  // Already uniform, so any eight bytes are a hash.
  std::uint64_t Hash() const {
    std::uint64_t word;
    std::memcpy(&word, bytes.data() + 8, sizeof word);
    return word;
  }
};

// A keyed hash of a caller and its Idempotency-Key, or of a request's content (128 bits).
struct RequestHash {
  std::array<std::uint8_t, 16> bytes{};
  friend auto operator<=>(const RequestHash&, const RequestHash&) = default;
};

// Whose answers are counted together: the first bytes of the hash, which are those of the caller alone.
using AnswerOwner = Strong<struct AnswerOwnerTag, std::uint32_t>;
inline constexpr std::size_t kAnswerOwnerBytes = 4;
inline AnswerOwner OwnerOf(const RequestHash& key) {
  std::uint32_t owner = 0;
  for (std::size_t i = 0; i < kAnswerOwnerBytes; ++i) owner = owner << 8 | key.bytes[i];
  return AnswerOwner(owner);
}

// Never changes: the placement of every member and identity depends on it.
inline ShardId ShardOf(MemberId id) {
  return ShardId(static_cast<std::uint16_t>(Mix64(static_cast<std::uint64_t>(id.value())) % kShardCount));
}
inline ShardId ShardOf(const IdentityKey& key) {
  return ShardId(static_cast<std::uint16_t>((key.bytes[0] << 8 | key.bytes[1]) % kShardCount));
}
// Where a member is made whose registration has this key: by what is not the caller's alone, which would be one place
// for all of its members.
inline ShardId ShardOf(const RequestHash& key) {
  const std::uint8_t* const bytes = key.bytes.data() + kAnswerOwnerBytes;
  return ShardId(static_cast<std::uint16_t>((bytes[0] << 8 | bytes[1]) % kShardCount));
}

}  // namespace muster

template <>
struct std::hash<muster::IdentityKey> {
  std::size_t operator()(const muster::IdentityKey& key) const { return key.Hash(); }
};
