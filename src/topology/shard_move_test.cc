#include "topology/shard_move.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "topology/shard_map.h"
#include "topology/testing/two_center_topology.h"
#include "topology/topology_codec.h"

namespace muster::shard_move_test {
namespace {

using muster::testing::FailingOver;
using muster::testing::TwoCenters;
using ::testing::HasSubstr;
using enum ShardMoveStep;
using Change = std::function<Result<void>(TopologyDocument&)>;

constexpr Timestamp kNow(std::chrono::seconds(1'700'000'000));

ShardMoveRequest Evens() { return {.shards = ParseShards("0-6/2").value(), .from = "g0", .to = "g1"}; }

Result<TopologyDocument> Changed(const TopologyDocument& document, const Change& change) {
  return ChangeTopology(document, "t.json", change);
}

std::string RefusalOf(const TopologyDocument& document, const std::function<void(TopologyDocument&)>& change) {
  const auto changed = Changed(document, [&](TopologyDocument& d) -> Result<void> {
    change(d);
    return {};
  });
  return changed ? "accepted" : changed.error().message;
}

// Two groups, of whose first one some shards move: two of them now, carried out under term 12.
TopologyDocument Moving(ShardMoveStep step = kCopying) {
  TopologyDocument document = TwoCenters(2);
  const auto then = [&](const Change& change) {
    auto changed = Changed(document, change);
    ASSERT_TRUE(changed) << changed.error().message;
    document = *std::move(changed);
  };
  then([](TopologyDocument& d) { return BeginShardMove(Evens(), kNow, d); });
  then([](TopologyDocument& d) -> Result<void> {
    d.shard_move->mover = "A-1";
    d.shard_move->term = 12;
    d.shard_move->batch = NextBatch(d, 2);
    return {};
  });
  if (step == kUndoing) {
    then([](TopologyDocument& d) { return StepShardMove(12, kUndoing, d); });
    return document;
  }
  for (const ShardMoveStep next : {kFenced, kSwitched, kCleaning}) {
    if (document.shard_move->step == step) break;
    then([next](TopologyDocument& d) { return StepShardMove(12, next, d); });
  }
  return document;
}

TEST(ShardMove, ShardsLiveInTheOneGroupUntilTheyAreSwitchedAndAreFencedAroundThat) {
  const ShardId moved(2);
  const ShardId later(4);
  for (const ShardMoveStep step : {kCopying, kFenced, kSwitched, kCleaning, kUndoing}) {
    const ShardMap map = ShardMap::Of(Moving(step));
    const bool has_gone = step == kSwitched || step == kCleaning;
    EXPECT_EQ(map.GroupOf(moved), has_gone ? 1U : 0U) << NameOf(step);
    EXPECT_EQ(map.is_fenced(moved), step == kFenced || step == kSwitched) << NameOf(step);
    EXPECT_EQ(map.GroupOf(later), 0U) << NameOf(step);
    EXPECT_FALSE(map.is_fenced(later)) << NameOf(step);
  }
}

TEST(ShardMove, EveryChangeOfWhatMayBeWrittenWhereIsARevisionOfTheMap) {
  EXPECT_LT(Moving().shards_revision, Moving(kFenced).shards_revision);
  EXPECT_EQ(Moving(kFenced).shards_revision, Moving(kFenced).revision);
  EXPECT_EQ(Moving(kSwitched).shards_revision, Moving(kSwitched).revision);
  EXPECT_EQ(Moving(kCleaning).shards_revision, Moving(kCleaning).revision);
  const TopologyDocument fenced = Moving(kFenced);
  const auto unfenced = Changed(fenced, [](TopologyDocument& d) { return StepShardMove(12, kCopying, d); });
  EXPECT_EQ(unfenced->shards_revision, unfenced->revision);
}

TEST(ShardMove, ADocumentOfIt) {
  for (const ShardMoveStep step : {kCopying, kFenced, kSwitched, kCleaning, kUndoing}) {
    const TopologyDocument document = Moving(step);
    EXPECT_EQ(ParseTopology("t.json", RenderTopology(document)).value(), document);
  }
  EXPECT_THAT(RenderTopology(Moving(kFenced)),
              HasSubstr(R"("shardMove":{"from":"g0","to":"g1","shards":"0-6/2","batch":"0,2","step":"fenced",)"
                        R"("mover":"A-1","term":"12","beginTime":"2023-11-14T22:13:20Z"})"));
}

TEST(ShardMove, GoesOnWithTheNextOnesAndEnds) {
  TopologyDocument document = Moving(kCleaning);
  EXPECT_EQ(ShardsText(NextBatch(document, 10)), "4,6");
  EXPECT_EQ(ShardsText(NextBatch(document, 1)), "4");
  const auto next = Changed(document, [](TopologyDocument& d) {
    d.shard_move->batch = NextBatch(d, 10);
    return StepShardMove(12, kCopying, d);
  });
  ASSERT_TRUE(next) << next.error().message;
  document.shard_move->stops = true;
  EXPECT_TRUE(NextBatch(document, 10).none());
  EXPECT_EQ(RefusalOf(document, [](TopologyDocument& d) { d.shard_move.reset(); }), "accepted");
  EXPECT_EQ(RefusalOf(Moving(kUndoing), [](TopologyDocument& d) { d.shard_move.reset(); }), "accepted");
}

TEST(ShardMove, NoStepIsLeftOut) {
  const auto step = [](ShardMoveStep from, ShardMoveStep to) {
    const auto changed = Changed(Moving(from), [to](TopologyDocument& d) { return StepShardMove(12, to, d); });
    return changed ? "accepted" : changed.error().message;
  };
  EXPECT_THAT(step(kCopying, kCleaning), HasSubstr("does not go from copying to cleaning"));
  EXPECT_THAT(step(kCopying, kSwitched), HasSubstr("would live in another group"));
  EXPECT_THAT(step(kFenced, kCleaning), HasSubstr("does not go from"));
  EXPECT_THAT(step(kSwitched, kCopying), HasSubstr("does not go from"));
  EXPECT_THAT(step(kSwitched, kUndoing), HasSubstr("does not go from"));
  EXPECT_THAT(step(kCleaning, kFenced), HasSubstr("does not go from"));
  EXPECT_THAT(step(kUndoing, kCopying), HasSubstr("does not go from"));
  for (const ShardMoveStep from : {kCopying, kFenced, kSwitched}) {
    EXPECT_THAT(RefusalOf(Moving(from), [](TopologyDocument& d) { d.shard_move.reset(); }), HasSubstr("ends when"));
  }
}

TEST(ShardMove, OthersShardsStayWhereTheyAre) {
  EXPECT_THAT(RefusalOf(Moving(kFenced),
                        [](TopologyDocument& d) {
                          ASSERT_TRUE(StepShardMove(12, kSwitched, d));
                          d.groups[0].shards.reset(4);
                          d.groups[1].shards.set(4);
                        }),
              HasSubstr("shard 4 would live in another group"));
  EXPECT_THAT(RefusalOf(Moving(kFenced), [](TopologyDocument& d) { d.shard_move->batch.set(4); }),
              HasSubstr("moved before others are"));
  EXPECT_THAT(RefusalOf(Moving(), [](TopologyDocument& d) { d.shard_move->shards.set(8); }),
              HasSubstr("another move of shards"));
}

TEST(ShardMove, OnlyTheMoverOfTheLastTermGoesOn) {
  TopologyDocument document = Moving();
  EXPECT_EQ(StepShardMove(11, kFenced, document).error().reason, Reason::kStateConflict);
  EXPECT_THAT(RefusalOf(Moving(), [](TopologyDocument& d) { d.shard_move->mover = "B-1"; }), HasSubstr("a term"));
  EXPECT_THAT(RefusalOf(Moving(), [](TopologyDocument& d) { d.shard_move->term = 11; }), HasSubstr("a term"));
  EXPECT_EQ(RefusalOf(Moving(),
                      [](TopologyDocument& d) {
                        d.shard_move->mover = "B-1";
                        d.shard_move->term = 13;
                      }),
            "accepted");
}

TEST(ShardMove, WhatWasStoppedIsUndoneOrBroughtToItsEnd) {
  for (const ShardMoveStep step : {kCopying, kFenced}) {
    TopologyDocument document = Moving(step);
    ASSERT_TRUE(StopShardMove(document));
    EXPECT_THAT(PlanOfStop(document).steps, ::testing::ElementsAre(HasSubstr("shards 0,2 stay in group \"g0\"")));
    EXPECT_EQ(RefusalOf(document, [](TopologyDocument& d) { d.shard_move->step = kUndoing; }), "accepted");
    const ShardMoveStep next = step == kCopying ? kFenced : kSwitched;
    EXPECT_NE(RefusalOf(document, [next](TopologyDocument& d) { d.shard_move->step = next; }), "accepted");
    EXPECT_THAT(RefusalOf(document, [](TopologyDocument& d) { d.shard_move->stops = false; }), HasSubstr("stopped"));
  }
  TopologyDocument document = Moving(kSwitched);
  ASSERT_TRUE(StopShardMove(document));
  EXPECT_EQ(PlanOfStop(document).steps.size(), 2U);
  EXPECT_TRUE(Changed(document, [](TopologyDocument& d) { return StepShardMove(12, kCleaning, d); }));
  EXPECT_TRUE(NextBatch(document, 8).none());
}

TEST(ShardMove, StandsStillDuringAFailover) {
  TopologyDocument document = Moving(kFenced);
  const TopologyDocument failing = FailingOver(FailoverKind::kLoss, 2);
  document.failover = failing.failover;
  document.writer.clear();
  EXPECT_THAT(StepShardMove(12, kSwitched, document).error().message, HasSubstr("failover"));
  EXPECT_THAT(RefusalOf(document, [](TopologyDocument& d) { d.shard_move->step = kCopying; }), HasSubstr("failover"));
  EXPECT_THAT(PlanShardMove(Evens(), failing).error().message, HasSubstr("failover"));
}

TEST(ShardMove, WhatCannotBeMovedIsRefused) {
  const auto refusal = [](ShardMoveRequest request, const TopologyDocument& document = TwoCenters(2)) {
    const auto plan = PlanShardMove(request, document);
    return plan ? "accepted" : plan.error().message;
  };
  EXPECT_EQ(refusal(Evens()), "accepted");
  EXPECT_THAT(refusal({.shards = Evens().shards, .from = "g0", .to = "g7"}), HasSubstr("no group \"g7\""));
  EXPECT_THAT(refusal({.shards = Evens().shards, .from = "g0", .to = "g0"}), HasSubstr("from one group to another"));
  EXPECT_THAT(refusal({.shards = {}, .from = "g0", .to = "g1"}), HasSubstr("no shards"));
  EXPECT_THAT(refusal({.shards = ParseShards("0-4").value(), .from = "g0", .to = "g1"}),
              HasSubstr("shards 1,3 do not live in group \"g0\""));
  EXPECT_THAT(refusal(Evens(), Moving()), HasSubstr("--undo"));
  TopologyDocument still = TwoCenters(2);
  EXPECT_EQ(StopShardMove(still).error().reason, Reason::kStateConflict);
}

// Members that are acknowledged in two centers do not go where they would be in one.
TEST(ShardMove, NothingMovesToAGroupThatKeepsLess) {
  TopologyDocument document = TwoCenters(2);
  document.groups[1].durability = Durability::kDegraded;
  const auto refused = PlanShardMove(Evens(), document);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kStateConflict);
  EXPECT_THAT(refused.error().message, HasSubstr("one center alone"));
  document.groups[0].durability = Durability::kDegraded;
  EXPECT_TRUE(PlanShardMove(Evens(), document)) << "no less than before";
  for (const auto& [step, next] : {std::pair(kCopying, kFenced), std::pair(kFenced, kSwitched)}) {
    TopologyDocument moving = Moving(step);
    moving.groups[1].durability = Durability::kDegraded;
    EXPECT_FALSE(StepShardMove(12, next, moving));
    moving.groups[1].durability = Durability::kBothCenters;
    EXPECT_TRUE(StepShardMove(12, next, moving));
  }
}

}  // namespace
}  // namespace muster::shard_move_test
