#include "topology/failover/failover_controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "topology/failover/failover_plan.h"
#include "topology/failover/testing/sights.h"

namespace muster::failover {
namespace {

using ::muster::testing::FailingOver;
using ::muster::testing::TwoCenters;
using ::testing::Contains;
using testing::EastIsLost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Silence;
using testing::WellSight;

const FailoverOptions kByDefault;

TEST(FailoverController, RefusesWithWhatWouldBeLost) {
  Sight sight = EastIsLost();
  Silence(sight, "w2");
  FailoverController controller(kByDefault);
  const ControllerTurn turn = controller.Decide(sight);
  EXPECT_EQ(turn.verdict.health, CenterHealth::kLost);
  EXPECT_FALSE(turn.next);
  ASSERT_THAT(turn.attention, Not(IsEmpty()));
  EXPECT_THAT(turn.attention[0], HasSubstr("acker-vanished"));
}

TEST(FailoverController, ASecondWriterIsToldOf) {
  Sight sight = WellSight();
  EXPECT_THAT(FailoverController(kByDefault).Decide(sight).attention, IsEmpty());
  for (const char* name : {"w1", "e2"}) {
    Sight two = sight;
    two.databases[name].state.is_writable = true;
    const ControllerTurn turn = FailoverController(kByDefault).Decide(two);
    ASSERT_THAT(turn.attention, Not(IsEmpty())) << name;
    EXPECT_THAT(turn.attention[0], HasSubstr(std::string(name) + " of group g0"));
    EXPECT_THAT(turn.attention[0], HasSubstr("SET GLOBAL read_only = 1"));
    // One that stands still where it was replaced is dealt with by orders.
    two.databases[name].state.following = "";
    for (const std::string& text : FailoverController(kByDefault).Decide(two).attention) {
      EXPECT_THAT(text, Not(HasSubstr("read_only")));
    }
  }
}

TEST(FailoverController, WhoLooksOnTellsWhatNeedsSomebodyAndDoesNothing) {
  Sight sight = EastIsLost();
  Silence(sight, "w2");
  testing::Report(sight, "first", "witness", {"w1"});
  const ControllerTurn turn = FailoverController(kByDefault).Decide(sight);
  EXPECT_FALSE(turn.leads);
  EXPECT_FALSE(turn.next);
  EXPECT_THAT(turn.orders, IsEmpty());
  ASSERT_THAT(turn.attention, Not(IsEmpty()));
  EXPECT_THAT(turn.attention[0], HasSubstr("acker-vanished"));
}

// Who stood still goes by what it reads from then on: others may have gone on meanwhile.
TEST(FailoverController, WhoStoodStillReadsTheTopologyFirst) {
  Sight sight = EastIsLost();
  sight.awake_since = sight.now - kByDefault.detect_after;
  sight.document_at = sight.awake_since - std::chrono::milliseconds(1);
  EXPECT_FALSE(FailoverController(kByDefault).Decide(sight).next);
  sight.document_at = sight.awake_since;
  EXPECT_TRUE(FailoverController(kByDefault).Decide(sight).next);
}

// Who has just begun to look has seen nobody yet, which does not mean that anybody is away.
TEST(FailoverController, WhoHasJustBegunUndoesNoSwitchover) {
  Sight sight = WellSight();
  const FailoverRequest request{.kind = FailoverKind::kPlanned, .by_operator = true};
  const FailoverPlan plan = PlanFailover(sight, request, kByDefault);
  ASSERT_TRUE(plan.is_possible());
  sight.document = std::make_shared<TopologyDocument>(BeginFailover(sight, plan, request, kByDefault));
  sight.databases.clear();
  sight.awake_since = sight.now;
  FailoverController controller(kByDefault);
  const ControllerTurn turn = controller.Decide(sight);
  EXPECT_TRUE(!turn.next || turn.next->failover);
  sight.now += kByDefault.detect_after + std::chrono::milliseconds(1);
  sight.document_at = sight.now;
  const ControllerTurn later = controller.Decide(sight);
  ASSERT_TRUE(later.next) << "nobody answers it for so long";
  EXPECT_FALSE(later.next->failover);
  EXPECT_TRUE(later.next->failovers.back().undone);
}

// An acker that is joining and was started again may have acknowledged alone: it is not told to anew, which would make
// it look complete.
TEST(FailoverController, AnAckerThatForgotWhileItJoinedIsNotToldAnew) {
  Sight sight = WellSight();
  TopologyDocument document = *sight.document;
  document.groups[0].FindAcker("w2")->state = AckerState::kJoining;
  sight.document = std::make_shared<TopologyDocument>(document);
  DatabaseState& w2 = sight.databases["w2"].state;
  w2.acknowledges = w2.receives = w2.applies = w2.is_connected = false;
  const auto tells = [&] {
    const ControllerTurn turn = FailoverController(kByDefault).Decide(sight);
    return std::ranges::any_of(turn.orders, [](const DatabaseOrder& order) {
      return order.database == "w2" && order.acknowledges == Acknowledging::kYes;
    });
  };
  EXPECT_FALSE(tells());
  w2.may_have_acknowledged = false;
  EXPECT_TRUE(tells());
}

TEST(FailoverController, ChoosesTheHighestLogOfAllAckers) {
  Sight sight = WellSight(FailingOver());
  Silence(sight, "e1");
  for (const char* const name : {"w1", "w2"}) {
    sight.databases[name].state.receives = false;
    sight.databases[name].state.obeyed = 11;
  }
  sight.databases["w1"].state.applied = GtidPosition::Of(0, 1, 101);  // further applied
  sight.databases["w2"].state.received = GtidPosition::Of(0, 1, 102);
  FailoverController controller(kByDefault);
  const ControllerTurn turn = controller.Decide(sight);
  ASSERT_TRUE(turn.next);
  EXPECT_EQ(turn.next->failover->groups[0].chosen, "w2");
  EXPECT_EQ(turn.next->failover->groups[0].position, "0-1-102");
  // Not while one of them still receives, or obeyed only what came before the failover.
  sight.databases["w1"].state.obeyed = 10;
  EXPECT_FALSE(FailoverController(kByDefault).Decide(sight).next);
  sight.databases["w1"].state.obeyed = 11;
  sight.databases["w1"].state.receives = true;
  EXPECT_FALSE(FailoverController(kByDefault).Decide(sight).next);
}

// What a primary that was started again has more than its ackers would be taken back if it were lost now.
TEST(FailoverController, APrimaryThatCameBackTakesWritesOnceAnAckerHasAllOfIt) {
  Sight sight = WellSight();
  DatabaseState& primary = sight.databases["e1"].state;
  primary.is_writable = false;
  primary.applied = primary.received = GtidPosition::Of(0, 1, 101);
  const auto is_made_writable = [&] {
    const ControllerTurn turn = FailoverController(kByDefault).Decide(sight);
    return std::ranges::any_of(turn.orders, [](const DatabaseOrder& order) {
      return order.kind == OrderKind::kGovern && order.database == "e1" && order.primary.is_writable;
    });
  };
  EXPECT_FALSE(is_made_writable());
  sight.databases["e2"].state.received = GtidPosition::Of(0, 1, 101);
  EXPECT_FALSE(is_made_writable()) << "it is no acker";
  sight.databases["w2"].state.received = GtidPosition::Of(0, 1, 101);
  EXPECT_TRUE(is_made_writable());
  // The same number of another server is something else.
  sight.databases["w2"].state.received = GtidPosition::Of(0, 2, 101);
  EXPECT_FALSE(is_made_writable());
  // Nobody is waited for where commits wait for nobody.
  auto degraded = std::make_shared<TopologyDocument>(*sight.document);
  degraded->groups[0].durability = Durability::kDegraded;
  degraded->groups[0].ackers.clear();
  sight.document = degraded;
  EXPECT_TRUE(is_made_writable());
}

// Two controllers that go by one topology, of which one does not see the acker, must not tell the primary two things.
TEST(FailoverController, CommitsOfAGroupThatComesBackWaitByTheTopologyAlone) {
  TopologyDocument document = TwoCenters();
  document.groups[0].durability = Durability::kDegraded;
  Sight sight = WellSight(document);
  sight.databases["e1"].state.waits = false;
  const auto waits = [&] {
    const ControllerTurn turn = FailoverController(kByDefault).Decide(sight);
    return std::ranges::any_of(turn.orders, [](const DatabaseOrder& order) {
      return order.kind == OrderKind::kGovern && order.database == "e1" && order.primary.waits;
    });
  };
  EXPECT_TRUE(waits());
  Silence(sight, "w1");
  Silence(sight, "w2");
  EXPECT_TRUE(waits()) << "though nobody is seen to acknowledge";
  auto joining = std::make_shared<TopologyDocument>(document);
  for (AckerRecord& acker : joining->groups[0].ackers) acker.state = AckerState::kJoining;
  sight.document = joining;
  EXPECT_FALSE(waits());
}

TEST(FailoverController, AGroupIsInBothCentersOnceItsPrimaryHasObeyedThatItWaits) {
  TopologyDocument document = TwoCenters();
  document.groups[0].durability = Durability::kDegraded;
  Sight sight = WellSight(document);
  sight.databases["e1"].state.obeyed = 9;
  FailoverController controller(kByDefault);
  controller.Decide(sight);  // from here on an acker has to have what the primary had then
  const auto later = [&] {
    sight.now += std::chrono::milliseconds(400);
    sight.document_at = sight.board_at = sight.now;
    for (auto& [name, seen] : sight.databases) seen.looked_at = sight.now;
    return controller.Decide(sight);
  };
  const ControllerTurn before = later();
  EXPECT_FALSE(before.next);
  EXPECT_EQ(std::ranges::count(before.orders, OrderKind::kGovern, &DatabaseOrder::kind), 1) << "that it obeys this one";
  sight.databases["e1"].state.obeyed = 10;
  const ControllerTurn after = later();
  ASSERT_TRUE(after.next);
  EXPECT_EQ(after.next->groups[0].durability, Durability::kBothCenters);
}

// Nobody orders it anything, so only its primary can make sure that it acknowledges nothing.
TEST(FailoverController, ADatabaseThatCannotFollowDoesNotKeepItsGroupDegraded) {
  TopologyDocument document = TwoCenters();
  document.groups[0].durability = Durability::kDegraded;
  Sight sight = WellSight(document);
  DatabaseState& diverged = sight.databases["e2"].state;
  diverged.fault = ReplicaFault::kDiverged;
  diverged.receives = diverged.is_connected = false;
  diverged.obeyed = 0;
  FailoverController controller(kByDefault);
  const std::vector<DatabaseOrder> orders = controller.Decide(sight).orders;
  const auto order = std::ranges::find(orders, "e1", &DatabaseOrder::database);
  ASSERT_NE(order, orders.end());
  EXPECT_THAT(order->primary.shut_out, ElementsAre("e2"));
  sight.databases["e1"].state.shut_out = {"e2"};
  sight.now += std::chrono::milliseconds(400);
  sight.document_at = sight.board_at = sight.now;
  for (auto& [name, seen] : sight.databases) seen.looked_at = sight.now;
  const ControllerTurn turn = controller.Decide(sight);
  ASSERT_TRUE(turn.next);
  EXPECT_EQ(turn.next->groups[0].durability, Durability::kBothCenters);
}

TEST(FailoverController, APrimaryThatFollowsAnotherIsToldOfOnceThatLasts) {
  Sight sight = WellSight();
  sight.databases["e1"].state.following = "w1:3306";
  FailoverController controller(kByDefault);
  EXPECT_THAT(controller.Decide(sight).attention, IsEmpty()) << "it may have been seen before it was promoted";
  sight.now += kByDefault.acker_patience;
  sight.document_at = sight.board_at = sight.now;
  for (auto& [name, seen] : sight.databases) seen.looked_at = sight.now;
  EXPECT_THAT(controller.Decide(sight).attention, Contains(HasSubstr("somebody else commands it")));
}

TEST(FailoverController, ASwitchoverChoosesForAllGroupsAtOnce) {
  Sight sight = WellSight(FailingOver(FailoverKind::kPlanned, 2));
  for (const char* const name : {"e1", "e3"}) {
    sight.databases[name].state.is_writable = false;
    sight.databases[name].state.obeyed = 11;
  }
  sight.databases["w3"].state.applied = sight.databases["w4"].state.applied = GtidPosition::Of(0, 1, 99);
  const auto none = FailoverController(kByDefault).Decide(sight);
  ASSERT_TRUE(none.next) << "the leases have ended";
  EXPECT_EQ(none.next->failover->groups[0].step, GroupStep::kFenced) << "g1 may still have to be undone";
  sight.databases["w4"].state.applied = GtidPosition::Of(0, 1, 100);
  const auto all = FailoverController(kByDefault).Decide(sight);
  ASSERT_TRUE(all.next);
  EXPECT_EQ(all.next->failover->groups[0].chosen, "w1");
  EXPECT_EQ(all.next->failover->groups[1].chosen, "w4");
}

}  // namespace
}  // namespace muster::failover
