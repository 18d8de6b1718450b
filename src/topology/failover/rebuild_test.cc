#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "topology/failover/failover_controller.h"
#include "topology/failover/failover_plan.h"
#include "topology/failover/replica_lag.h"
#include "topology/failover/testing/sights.h"

namespace muster::failover {
namespace {

using ::muster::testing::FailingOver;
using ::muster::testing::TwoCenters;
using ::testing::HasSubstr;
using testing::Silence;
using testing::WellSight;

const FailoverOptions kTimes;

// "e2", the replica beside the primary, holds what nobody acknowledged.
Sight WithDiverged(TopologyDocument document = TwoCenters()) {
  Sight sight = WellSight(std::move(document));
  DatabaseState& state = sight.databases["e2"].state;
  state.fault = ReplicaFault::kDiverged;
  state.receives = state.is_connected = false;
  return sight;
}

Sight WhereItIsAskedFor() {
  Sight sight = WithDiverged();
  sight.document = std::make_shared<TopologyDocument>(*AskForRebuild(sight, "e2", kTimes));
  return sight;
}

std::string RefusalOf(const Sight& sight, const char* database) {
  const auto asked = AskForRebuild(sight, database, kTimes);
  return asked ? "accepted" : asked.error().message;
}

// A controller, a lease after it has first seen the request.
ControllerTurn TurnAfterALease(FailoverController& controller, Sight& sight) {
  EXPECT_TRUE(controller.Decide(sight).orders.empty()) << "somebody may not have heard of it";
  sight.now += std::chrono::milliseconds(sight.document->lease_ms);
  sight.document_at = sight.board_at = sight.now;
  for (auto& [name, seen] : sight.databases) seen.looked_at = sight.now;
  return controller.Decide(sight);
}

TEST(Rebuild, IsAskedForByTheTopology) {
  const Sight sight = WhereItIsAskedFor();
  const RebuildRecord& rebuild = *sight.document->groups[0].Find("e2")->rebuild;
  EXPECT_EQ(rebuild.revision, 11);
  EXPECT_TRUE(sight.document->groups[0].Find("e2")->is_being_rebuilt());
  EXPECT_EQ(*AskForRebuild(sight, "e2", kTimes), *sight.document) << "asked again, it is the same request";
}

TEST(Rebuild, IsRefusedWhereItIsNotNeededOrCannotBe) {
  const Sight sight = WithDiverged();
  EXPECT_EQ(AskForRebuild(sight, "x9", kTimes).error().reason, Reason::kNotFound);
  EXPECT_EQ(AskForRebuild(sight, "e1", kTimes).error().reason, Reason::kStateConflict);
  EXPECT_THAT(RefusalOf(sight, "e1"), HasSubstr("it is the primary"));
  EXPECT_THAT(RefusalOf(sight, "w1"), HasSubstr("it counts among those that acknowledge"));
  EXPECT_THAT(RefusalOf(WellSight(), "e2"), HasSubstr("nothing keeps it from following e1"));
  Sight silent = WithDiverged();
  Silence(silent, "e2");
  EXPECT_THAT(RefusalOf(silent, "e2"), HasSubstr("start it first"));
  Sight without_primary = WithDiverged();
  Silence(without_primary, "e1");
  EXPECT_THAT(RefusalOf(without_primary, "e2"), HasSubstr("primary e1, of which it would be a copy"));
  EXPECT_THAT(RefusalOf(WithDiverged(FailingOver()), "e2"), HasSubstr("a failover is under way"));
  Sight old_primary = WellSight();
  old_primary.databases["e2"].state.is_writable = true;
  EXPECT_EQ(RefusalOf(old_primary, "e2"), "accepted") << "its last commits wait for ever";
}

TEST(Rebuild, IsOrderedOnceAllHaveHeardOfIt) {
  Sight sight = WhereItIsAskedFor();
  FailoverController controller(kTimes);
  const ControllerTurn turn = TurnAfterALease(controller, sight);
  ASSERT_EQ(turn.orders.size(), 1U);
  EXPECT_EQ(turn.orders[0].kind, OrderKind::kRebuild);
  EXPECT_EQ(turn.orders[0].database, "e2");
  EXPECT_EQ(turn.orders[0].source.name, "e1");
  EXPECT_FALSE(turn.next);
}

TEST(Rebuild, EndsWhenTheDatabaseFollowsUnderIt) {
  Sight sight = WhereItIsAskedFor();
  FailoverController controller(kTimes);
  TurnAfterALease(controller, sight);
  DatabaseState& state = sight.databases["e2"].state;
  state.fault = ReplicaFault::kNone;
  state.receives = state.is_connected = state.applies = true;
  EXPECT_FALSE(controller.Decide(sight).next) << "as it was before, under an older topology";
  state.obeyed = 11;
  state.is_connected = false;
  const ControllerTurn connecting = controller.Decide(sight);
  EXPECT_FALSE(connecting.next);
  EXPECT_EQ(std::ranges::count(connecting.orders, OrderKind::kRebuild, &DatabaseOrder::kind), 0)
      << "it is a copy, whose primary is about to let it in";
  state.is_connected = true;
  const ControllerTurn turn = controller.Decide(sight);
  ASSERT_TRUE(turn.next);
  EXPECT_FALSE(turn.next->groups[0].Find("e2")->rebuild);
}

TEST(Rebuild, ThatFailedWaitsToBeAskedForAgain) {
  Sight sight = WhereItIsAskedFor();
  FailoverController controller(kTimes);
  sight.databases["e2"].failed_rebuild = {.revision = 10, .why = "an earlier one"};
  EXPECT_EQ(TurnAfterALease(controller, sight).orders.size(), 1U);
  sight.databases["e2"].failed_rebuild = {.revision = 11, .why = "no room"};
  const ControllerTurn turn = controller.Decide(sight);
  ASSERT_TRUE(turn.next);
  const DatabaseRecord& record = *turn.next->groups[0].Find("e2");
  EXPECT_EQ(record.rebuild->failure, "no room");
  EXPECT_FALSE(record.is_being_rebuilt());

  sight.document = std::make_shared<TopologyDocument>(*turn.next);
  const ControllerTurn after = controller.Decide(sight);
  EXPECT_TRUE(after.orders.empty());
  ASSERT_EQ(after.attention.size(), 1U);
  EXPECT_THAT(after.attention[0], HasSubstr("`muster topology rebuild e2`"));
  EXPECT_THAT(after.attention[0], HasSubstr("no room"));
  const auto again = AskForRebuild(sight, "e2", kTimes);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->groups[0].Find("e2")->is_being_rebuilt());
}

TEST(Rebuild, KeepsReadersAway) {
  Sight sight = WellSight();
  ReplicaLag lag;
  lag.Note(sight);
  sight.now += std::chrono::milliseconds(1);
  for (auto& [name, seen] : sight.databases) seen.looked_at = sight.now;
  lag.Note(sight);
  ASSERT_TRUE(lag.has_all_before().contains("e2"));
  // It cannot apply, and what it has is known: it may be read until it is to be rebuilt.
  sight.databases["e2"].state.fault = ReplicaFault::kBroken;
  sight.databases["e2"].state.applies = false;
  lag.Note(sight);
  ASSERT_TRUE(lag.has_all_before().contains("e2"));
  sight.document = std::make_shared<TopologyDocument>(*AskForRebuild(sight, "e2", kTimes));
  lag.Note(sight);
  EXPECT_FALSE(lag.has_all_before().contains("e2"));
}

}  // namespace
}  // namespace muster::failover
