#pragma once

#include <bitset>
#include <string>
#include <string_view>

#include "base/result.h"
#include "domain/ids.h"

namespace muster {

// Some of the 1,024 shards.
using ShardSet = std::bitset<kShardCount>;

// As people and documents write them: numbers, ranges, and ranges with a step, in rising order, each shard once:
// "0-127,200,512-1022/2". Empty: none.
std::string ShardsText(const ShardSet& shards);

// The opposite. Overlaps and any order are understood. INVALID_ARGUMENT says which part is none.
Result<ShardSet> ParseShards(std::string_view text);

}  // namespace muster
