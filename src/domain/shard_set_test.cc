#include "domain/shard_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>

#include "base/random.h"

namespace muster {
namespace {

ShardSet Of(std::initializer_list<std::size_t> shards) {
  ShardSet set;
  for (const std::size_t shard : shards) set.set(shard);
  return set;
}

TEST(ShardSet, IsWrittenAsRangesWhereTheseAreShorter) {
  EXPECT_EQ(ShardsText({}), "");
  EXPECT_EQ(ShardsText(Of({7})), "7");
  EXPECT_EQ(ShardsText(Of({7, 8})), "7,8");
  EXPECT_EQ(ShardsText(Of({7, 8, 9})), "7-9");
  EXPECT_EQ(ShardsText(Of({0, 2, 4, 5, 6, 7, 1023})), "0-4/2,5-7,1023");
  EXPECT_EQ(ShardsText(ShardSet().set()), "0-1023");
}

TEST(ShardSet, HalfOfAllIsAFewCharacters) {
  ShardSet even;
  for (std::size_t shard = 0; shard < kShardCount; shard += 2) even.set(shard);
  EXPECT_EQ(ShardsText(even), "0-1022/2");
  EXPECT_EQ(ShardsText(~even), "1-1023/2");
}

TEST(ShardSet, IsReadBackWhateverItIs) {
  SeededRandom random(11);
  for (int round = 0; round < 200; ++round) {
    ShardSet shards;
    const std::uint64_t count = random.Below(kShardCount);
    for (std::uint64_t i = 0; i < count; ++i) shards.set(random.Below(kShardCount));
    const auto read = ParseShards(ShardsText(shards));
    ASSERT_TRUE(read) << ShardsText(shards);
    EXPECT_EQ(*read, shards) << ShardsText(shards);
  }
}

TEST(ShardSet, OverlapsAndAnyOrderAreUnderstood) {
  EXPECT_EQ(ParseShards("5-7,6,0").value(), Of({0, 5, 6, 7}));
  EXPECT_EQ(ParseShards("").value(), ShardSet());
  EXPECT_EQ(ParseShards("10-20/7").value(), Of({10, 17}));
}

TEST(ShardSet, WhatIsNoneIsRefusedByItsName) {
  for (const char* const text : {"x", "1024", "-1", "3-", "-", "7-3", "1-9/0", "1/2", "1-9/", "1,,2", "1,", " 1", "1 ",
                                 "1-2-3", "99999999999999999999"}) {
    const auto read = ParseShards(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().reason, Reason::kInvalidArgument) << text;
    EXPECT_THAT(read.error().message, ::testing::HasSubstr("is no shard")) << text;
  }
}

}  // namespace
}  // namespace muster
