#include "topology/shard_map.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace muster {

ShardMap ShardMap::Spread(std::uint32_t groups) {
  MUSTER_CHECK(groups >= 1 && groups <= kShardCount);
  ShardMap map;
  map.group_count_ = groups;
  for (std::uint16_t shard = 0; shard < kShardCount; ++shard) {
    map.groups_[shard] = static_cast<std::uint16_t>(shard % groups);
  }
  return map;
}

ShardMap ShardMap::Of(const TopologyDocument& document) {
  if (document.groups.empty()) return {};
  const auto count = static_cast<std::uint32_t>(document.groups.size());
  if (!document.names_shards()) return Spread(count);
  ShardMap map;
  map.group_count_ = count;
  map.revision_ = document.shards_revision;
  if (document.shard_move) {
    map.moving_ = document.shard_move->shards;
    if (document.shard_move->is_fenced()) map.fenced_ = document.shard_move->batch;
  }
  for (std::uint32_t group = 0; group < count; ++group) {
    for (std::uint16_t shard = 0; shard < kShardCount; ++shard) {
      if (document.groups[group].shards[shard]) map.groups_[shard] = static_cast<std::uint16_t>(group);
    }
  }
  return map;
}

ShardSet ShardMap::ShardsOf(std::uint32_t group) const {
  ShardSet shards;
  for (std::uint16_t shard = 0; shard < kShardCount; ++shard) shards[shard] = groups_[shard] == group;
  return shards;
}

void NameShards(TopologyDocument& document) {
  if (document.names_shards() || document.groups.empty()) return;
  const ShardMap spread = ShardMap::Of(document);
  for (std::uint32_t group = 0; group < spread.group_count(); ++group) {
    document.groups[group].shards = spread.ShardsOf(group);
  }
}

ShardMapSource FixedShards(const ShardMap& map) {
  return [shared = std::make_shared<const ShardMap>(map)] { return shared; };
}

}  // namespace muster
