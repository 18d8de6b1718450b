#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>

#include "domain/ids.h"
#include "domain/shard_set.h"
#include "topology/topology.h"

namespace muster {

// In which group each of the shards lives, as a topology says. Groups are numbered in the order of their names.
class ShardMap {
 public:
  // Spread evenly over `groups` (1 to 1,024), by their numbers: where they live as long as no topology says more.
  static ShardMap Spread(std::uint32_t groups);
  // As the document says, or Spread over its groups. Without groups all are in group 0, which is not there.
  static ShardMap Of(const TopologyDocument& document);

  std::uint32_t GroupOf(ShardId shard) const { return groups_[shard.value()]; }
  std::uint32_t group_count() const { return group_count_; }
  ShardSet ShardsOf(std::uint32_t group) const;
  // On its way: nobody writes to it just now.
  bool is_fenced(ShardId shard) const { return fenced_[shard.value()]; }
  // Of a move under way, whether they have gone already or not.
  const ShardSet& moving() const { return moving_; }
  // Of the topology that last changed where a shard lives, or whether it is fenced: two maps of one installation with
  // the same one are the same.
  std::int64_t revision() const { return revision_; }

  friend bool operator==(const ShardMap&, const ShardMap&) = default;

 private:
  ShardMap() = default;

  std::array<std::uint16_t, kShardCount> groups_{};
  std::uint32_t group_count_ = 0;
  ShardSet fenced_;
  ShardSet moving_;
  std::int64_t revision_ = 0;
};

// The map of now; never null. Thread-safe and quick. Whoever uses it for several steps keeps what he was given.
using ShardMapSource = std::function<std::shared_ptr<const ShardMap>()>;

// Has the groups of a document say which shards live in them, if they do not yet.
void NameShards(TopologyDocument& document);

// One that stays what it is.
ShardMapSource FixedShards(const ShardMap& map);

}  // namespace muster
