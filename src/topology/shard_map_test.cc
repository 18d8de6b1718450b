#include "topology/shard_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "topology/added_groups.h"
#include "topology/testing/two_center_topology.h"
#include "topology/topology_codec.h"

namespace muster::shard_map_test {
namespace {

using ::muster::testing::TwoCenters;
using ::testing::HasSubstr;
using ::testing::StartsWith;

ShardSet Shards(std::string_view text) { return ParseShards(text).value(); }

// Three groups, the last of which is new.
TopologyDocument WithNewGroup() {
  TopologyDocument document = TwoCenters(3);
  document.groups[0].shards = Shards("0-1022/2");
  document.groups[1].shards = Shards("1-1023/2");
  return document;
}

std::string RefusalOf(const TopologyDocument& before, const std::function<void(TopologyDocument&)>& change) {
  const auto changed = ChangeTopology(before, "t.json", [&](TopologyDocument& document) -> Result<void> {
    change(document);
    return {};
  });
  return changed ? "accepted" : changed.error().message;
}

TEST(ShardMapOfTopology, WithoutShardsTheyAreSpreadOverTheGroupsByNumber) {
  EXPECT_EQ(ShardMap::Of(TwoCenters(2)), ShardMap::Spread(2));
  EXPECT_EQ(ShardMap::Of(TwoCenters()).ShardsOf(0), ShardSet().set());
  EXPECT_EQ(ShardMap::Of(TopologyDocument{}).group_count(), 0U);
}

TEST(ShardMapOfTopology, WithThemTheyAreWhereItSays) {
  TopologyDocument document = WithNewGroup();
  document.groups[1].shards.reset(1);
  document.groups[2].shards = Shards("1");
  document.shards_revision = 9;
  const ShardMap map = ShardMap::Of(document);
  EXPECT_EQ(map.group_count(), 3U);
  EXPECT_EQ(map.revision(), 9);
  EXPECT_EQ(map.GroupOf(ShardId(0)), 0U);
  EXPECT_EQ(map.GroupOf(ShardId(1)), 2U);
  EXPECT_EQ(map.GroupOf(ShardId(3)), 1U);
  EXPECT_EQ(map.ShardsOf(2), Shards("1"));
}

TEST(ShardMapOfTopology, ADocumentWithShardsHasAFormatThatAnOlderMusterRefuses) {
  const TopologyDocument document = WithNewGroup();
  const std::string text = RenderTopology(document);
  EXPECT_THAT(text, StartsWith("{\"format\":4,"));
  EXPECT_THAT(text, HasSubstr("\"shards\":\"0-1022/2\""));
  EXPECT_EQ(ParseTopology("t.json", text).value(), document);
  EXPECT_THAT(RenderTopology(TwoCenters(2)), StartsWith("{\"format\":3,")) << "one that says nothing of them stays";
}

TEST(ShardMapOfTopology, EachShardIsInExactlyOneGroup) {
  TopologyDocument document = WithNewGroup();
  document.groups[1].shards.set(0);
  EXPECT_THAT(ParseTopology("t.json", RenderTopology(document)).error().message, HasSubstr("0 of group \"g1\""));
  document = WithNewGroup();
  document.groups[1].shards.reset(7);
  EXPECT_THAT(ParseTopology("t.json", RenderTopology(document)).error().message, HasSubstr("7 are in none"));
}

TEST(ShardMapOfTopology, AGroupIsAddedBehindTheOthersAndWithoutShards) {
  const TopologyDocument two = TwoCenters(2);
  EXPECT_EQ(RefusalOf(two, [](TopologyDocument& d) { d.groups = WithNewGroup().groups; }), "accepted");
  EXPECT_THAT(RefusalOf(two, [](TopologyDocument& d) { d.groups = TwoCenters(3).groups; }),
              HasSubstr("would live in another group"))
      << "it would be spread anew";
  EXPECT_THAT(RefusalOf(two,
                        [](TopologyDocument& d) {
                          d.groups = WithNewGroup().groups;
                          d.groups[2].name = "f9";
                        }),
              HasSubstr("stands behind \"g1\""));
  EXPECT_THAT(RefusalOf(WithNewGroup(), [](TopologyDocument& d) { d.groups.pop_back(); }), HasSubstr("goes"));
}

TEST(ShardMapOfTopology, AddedGroupsLeaveEachShardWhereItIs) {
  TopologyDocument document = TwoCenters(2);
  const std::vector<GroupRecord> added = {TwoCenters(3).groups[2]};
  const auto changed = ChangeTopology(document, "t.json", [&](TopologyDocument& d) { return AddGroups(added, d); });
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->groups.size(), 3U);
  for (std::uint16_t shard = 0; shard < kShardCount; ++shard) {
    ASSERT_EQ(ShardMap::Of(*changed).GroupOf(ShardId(shard)), ShardMap::Spread(2).GroupOf(ShardId(shard)));
  }
  EXPECT_EQ(changed->shards_revision, changed->revision);
}

TEST(ShardMapOfTopology, WhatCannotBeAddedIsRefusedBeforeAnythingIsWritten) {
  const auto refusal = [](const GroupRecord& group, TopologyDocument document) {
    const auto added = AddGroups({group}, document);
    return added ? "accepted" : added.error().message;
  };
  const GroupRecord third = TwoCenters(3).groups[2];
  GroupRecord group = third;
  group.name = "a";
  EXPECT_THAT(refusal(group, TwoCenters(2)), HasSubstr("stands behind \"g1\""));
  group = third;
  group.primary = "w5";
  EXPECT_THAT(refusal(group, TwoCenters(2)), HasSubstr("a primary in the center that writes"));
  group = third;
  group.shards.set(3);
  EXPECT_THAT(refusal(group, TwoCenters(2)), HasSubstr("names shards"));
  EXPECT_THAT(refusal(third, TwoCenters(3)), HasSubstr("is there already"));
  EXPECT_THAT(refusal(third, muster::testing::FailingOver(FailoverKind::kLoss, 2)),
              HasSubstr("a failover is under way"));
  EXPECT_THAT(refusal(third, TopologyDocument{}), HasSubstr("topology init"));
}

TEST(ShardMapOfTopology, NoShardMovesWithItsRowsLeftBehind) {
  EXPECT_THAT(RefusalOf(WithNewGroup(),
                        [](TopologyDocument& d) {
                          d.groups[0].shards.reset(4);
                          d.groups[2].shards.set(4);
                        }),
              HasSubstr("shard 4 would live in another group"));
}

}  // namespace
}  // namespace muster::shard_map_test
