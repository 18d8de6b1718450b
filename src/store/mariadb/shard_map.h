#pragma once

#include <array>
#include <bitset>
#include <cstdint>

#include "base/check.h"
#include "domain/ids.h"

namespace muster {

using ShardSet = std::bitset<kShardCount>;

// In which group each of the shards lives, as the topology says. Every group has at least one.
class ShardMap {
 public:
  // Spread evenly over `groups` (1 to 1,024).
  static ShardMap Spread(std::uint32_t groups) {
    MUSTER_CHECK(groups >= 1 && groups <= kShardCount);
    ShardMap map;
    map.group_count_ = groups;
    for (std::uint16_t shard = 0; shard < kShardCount; ++shard) {
      map.groups_[shard] = static_cast<std::uint16_t>(shard % groups);
    }
    return map;
  }

  std::uint32_t GroupOf(ShardId shard) const { return groups_[shard.value()]; }
  std::uint32_t group_count() const { return group_count_; }

  ShardSet ShardsOf(std::uint32_t group) const {
    ShardSet shards;
    for (std::uint16_t shard = 0; shard < kShardCount; ++shard) shards[shard] = groups_[shard] == group;
    return shards;
  }

 private:
  ShardMap() = default;

  std::array<std::uint16_t, kShardCount> groups_{};
  std::uint32_t group_count_ = 0;
};

}  // namespace muster
