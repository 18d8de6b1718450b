#pragma once

#include <string>
#include <string_view>

#include "domain/ids.h"

namespace muster::redis {

// What an entry of the cache is of.
struct Subject {
  bool is_identity = false;
  MemberId id = {};      // unless it is an identity
  IdentityKey key = {};  // if it is one

  static Subject Of(MemberId id) { return {.is_identity = false, .id = id}; }
  static Subject Of(const IdentityKey& key) { return {.is_identity = true, .key = key}; }
  ShardId shard() const { return is_identity ? ShardOf(key) : ShardOf(id); }
};

// Names of keys; see scripts.h.
class Keys {
 public:
  explicit Keys(std::string prefix) : prefix_(std::move(prefix)) {}

  std::string Marker(ShardId shard) const { return prefix_ + ":marker" + Tag(shard); }
  std::string Floor(ShardId shard, int which) const { return prefix_ + ":floor" + std::to_string(which) + Tag(shard); }
  std::string Value(Epoch epoch, const Subject& subject) const;
  std::string Lease(Epoch epoch, const Subject& subject) const;
  // The field of a subject in a hash of floors: "m" and the id, or "i" and the key in hexadecimal.
  static std::string Field(const Subject& subject);
  // What the values of all members begin with, in every epoch, and nothing else.
  std::string MemberPrefix() const { return prefix_ + ":m{"; }
  // The member of such a key; zero: it is not the key of one.
  static MemberId MemberOf(std::string_view key);

 private:
  static std::string Tag(ShardId shard) { return "{" + std::to_string(shard.value()) + "}"; }

  const std::string prefix_;
};

}  // namespace muster::redis
