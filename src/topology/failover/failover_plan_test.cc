#include "topology/failover/failover_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "topology/failover/failover_controller.h"
#include "topology/failover/start_role.h"
#include "topology/failover/testing/sights.h"
#include "topology/topology_codec.h"

namespace muster::failover {
namespace {

using ::muster::testing::FailingOver;
using ::muster::testing::TwoCenters;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Silence;
using testing::WellSight;

const FailoverOptions kOptions;

std::vector<Refusal> RefusalsOf(const FailoverPlan& plan) {
  std::vector<Refusal> refusals;
  for (const RefusalText& each : plan.refusals) refusals.push_back(each.refusal);
  return refusals;
}

FailoverPlan PlanLoss(const Sight& sight, bool by_operator = false, bool accepts_loss = false) {
  return PlanFailover(sight, {.kind = FailoverKind::kLoss, .by_operator = by_operator, .accepts_loss = accepts_loss},
                      kOptions);
}

FailoverPlan PlanSwitchover(const Sight& sight, const std::string& to = "") {
  return PlanFailover(sight, {.kind = FailoverKind::kPlanned, .to = to, .by_operator = true}, kOptions);
}

Sight EastIsLost() {
  Sight sight = WellSight();
  Silence(sight, "e1");
  Silence(sight, "e2");
  return sight;
}

TEST(FailoverPlan, ALossGoesToTheOtherCenter) {
  const FailoverPlan plan = PlanLoss(EastIsLost());
  EXPECT_THAT(RefusalsOf(plan), IsEmpty());
  EXPECT_EQ(plan.from, "east");
  EXPECT_EQ(plan.to, "west");
  EXPECT_THAT(plan.steps,
              ElementsAre(HasSubstr("take the right"), HasSubstr("stop receiving on w1, w2"),
                          HasSubstr("wait until the leases"), HasSubstr("give the right to write to west")));
}

TEST(FailoverPlan, AVanishedAckerIsWaitedFor) {
  Sight sight = EastIsLost();
  Silence(sight, "w2");
  const FailoverPlan plan = PlanLoss(sight);
  EXPECT_THAT(RefusalsOf(plan), ElementsAre(Refusal::kAckerVanished));
  EXPECT_THAT(plan.AsError().message, HasSubstr("w2 of group g0 does not answer and may hold the last writes alone"));
  // Also for an operator, unless he accepts the loss, which is named.
  EXPECT_THAT(RefusalsOf(PlanLoss(sight, true)), ElementsAre(Refusal::kAckerVanished));
  const FailoverPlan forced = PlanLoss(sight, true, true);
  EXPECT_THAT(RefusalsOf(forced), IsEmpty());
  EXPECT_THAT(forced.losses, ElementsAre(HasSubstr("acker-vanished")));
  EXPECT_THAT(RefusalsOf(PlanLoss(sight, false, true)), ElementsAre(Refusal::kAckerVanished)) << "nobody asked";
}

TEST(FailoverPlan, AnAckerThatMayHaveLostWhatItReceivedIsWaitedFor) {
  Sight sight = EastIsLost();
  sight.databases["w2"].state.acknowledges = false;
  EXPECT_THAT(RefusalsOf(PlanLoss(sight)), ElementsAre(Refusal::kAckerIncomplete));
  sight = EastIsLost();
  sight.databases["w2"].state.applies = false;
  sight.databases["w2"].state.fault = ReplicaFault::kBroken;
  const FailoverPlan plan = PlanLoss(sight);
  EXPECT_THAT(RefusalsOf(plan), ElementsAre(Refusal::kAckerIncomplete));
  EXPECT_THAT(plan.AsError().message, HasSubstr("do not restart its threads"));
}

// One that is joining, and has not begun to acknowledge, or never will: no commit had its word alone.
TEST(FailoverPlan, AnAckerThatHasNotBegunToAcknowledgeIsNotWaitedFor) {
  for (const bool is_broken : {false, true}) {
    Sight sight = EastIsLost();
    TopologyDocument document = *sight.document;
    document.groups[0].FindAcker("w2")->state = AckerState::kJoining;
    sight.document = std::make_shared<TopologyDocument>(document);
    DatabaseState& w2 = sight.databases["w2"].state;
    w2.acknowledges = false;
    EXPECT_THAT(RefusalsOf(PlanLoss(sight)), ElementsAre(Refusal::kAckerIncomplete)) << "it may have, and lost it";
    w2.may_have_acknowledged = false;
    if (is_broken) {
      w2.fault = ReplicaFault::kBroken;
      w2.applies = false;
    }
    const FailoverPlan plan = PlanLoss(sight);
    EXPECT_THAT(RefusalsOf(plan), IsEmpty());
    document.groups[0].FindAcker("w2")->state = AckerState::kIn;
    sight.document = std::make_shared<TopologyDocument>(document);
    EXPECT_FALSE(PlanLoss(sight).is_possible()) << "who is in has acknowledged, whatever it remembers";

    document.groups[0].FindAcker("w2")->state = AckerState::kJoining;
    sight.document = std::make_shared<TopologyDocument>(document);
    sight.document =
        std::make_shared<TopologyDocument>(BeginFailover(sight, plan, {.kind = FailoverKind::kLoss}, kOptions));
    for (const char* name : {"w1", "w2"}) {
      DatabaseState& state = sight.databases[name].state;
      state.receives = state.is_connected = false;
      state.obeyed = sight.document->failover->begin_revision;
    }
    const ControllerTurn turn = FailoverController(kOptions).Decide(sight);
    ASSERT_TRUE(turn.next);
    EXPECT_EQ(turn.next->failover->groups[0].chosen, "w1");
  }
}

// What is left of the installation was started again: nothing is done by itself, and somebody may.
TEST(FailoverPlan, AckersThatWereAllStartedAgainMayBeTakenAsTheyAre) {
  Sight sight = EastIsLost();
  for (const char* name : {"w1", "w2"}) {
    DatabaseState& state = sight.databases[name].state;
    state.receives = state.is_connected = state.applies = state.acknowledges = false;
  }
  EXPECT_THAT(RefusalsOf(PlanLoss(sight)), ElementsAre(Refusal::kAckerIncomplete, Refusal::kAckerIncomplete));
  const FailoverPlan plan = PlanLoss(sight, true, true);
  EXPECT_THAT(RefusalsOf(plan), IsEmpty());
  EXPECT_EQ(plan.losses.size(), 2U);

  // They are told to apply what they have, and chosen among once they do.
  const FailoverRequest request{.kind = FailoverKind::kLoss, .by_operator = true, .accepts_loss = true};
  sight.document = std::make_shared<TopologyDocument>(BeginFailover(sight, plan, request, kOptions));
  ASSERT_EQ(sight.document->groups[0].ackers.size(), 2U);
  FailoverController controller(kOptions);
  for (const char* name : {"w1", "w2"}) sight.databases[name].state.obeyed = sight.document->failover->begin_revision;
  const ControllerTurn turn = controller.Decide(sight);
  EXPECT_FALSE(turn.next);
  ASSERT_EQ(turn.orders.size(), 2U);
  EXPECT_EQ(turn.orders[0].kind, OrderKind::kStopReceiving);
  for (const char* name : {"w1", "w2"}) sight.databases[name].state.applies = true;
  const ControllerTurn next = controller.Decide(sight);
  ASSERT_TRUE(next.next);
  EXPECT_EQ(next.next->failover->groups[0].step, GroupStep::kChosen);
}

TEST(FailoverPlan, ADegradedGroupIsForAnOperator) {
  TopologyDocument document = TwoCenters();
  document.groups[0].durability = Durability::kDegraded;
  document.groups[0].ackers.clear();
  Sight sight = WellSight(document);
  Silence(sight, "e1");
  EXPECT_THAT(RefusalsOf(PlanLoss(sight)), ElementsAre(Refusal::kDegraded));
  EXPECT_THAT(RefusalsOf(PlanLoss(sight, true, true)), IsEmpty());
  EXPECT_THAT(RefusalsOf(PlanSwitchover(WellSight(document))), IsEmpty()) << "its primary can be asked";
}

TEST(FailoverPlan, AFailoverThatNobodyAskedForHoldsTheNextOneBack) {
  Sight sight = EastIsLost();
  TopologyDocument document = *sight.document;
  document.failovers = {{.kind = FailoverKind::kLoss, .from = "west", .to = "east", .end_time = sight.wall}};
  sight.document = std::make_shared<TopologyDocument>(document);
  sight.wall += kOptions.hold_back - Duration(1);
  EXPECT_THAT(RefusalsOf(PlanLoss(sight)), ElementsAre(Refusal::kHeldBack));
  EXPECT_THAT(RefusalsOf(PlanLoss(sight, true)), IsEmpty());
  sight.wall += Duration(1);
  EXPECT_THAT(RefusalsOf(PlanLoss(sight)), IsEmpty());
  sight.wall -= kOptions.hold_back;
  document.failovers.push_back({.kind = FailoverKind::kPlanned, .by_operator = true, .end_time = sight.wall});
  sight.document = std::make_shared<TopologyDocument>(document);
  EXPECT_THAT(RefusalsOf(PlanLoss(sight)), IsEmpty()) << "an operator has acted since";
}

TEST(FailoverPlan, APlannedOneNeedsThePrimaryAndAReplicaThatIsNear) {
  EXPECT_THAT(RefusalsOf(PlanSwitchover(WellSight())), IsEmpty());
  EXPECT_THAT(RefusalsOf(PlanSwitchover(EastIsLost())), ElementsAre(Refusal::kPrimaryAway));
  Sight behind = WellSight();
  behind.databases["e1"].state.applied = GtidPosition::Of(0, 1, 100'000);
  EXPECT_THAT(RefusalsOf(PlanSwitchover(behind)), ElementsAre(Refusal::kLagging));
  Sight stopped = WellSight();
  stopped.databases["w1"].state.is_connected = stopped.databases["w2"].state.applies = false;
  EXPECT_THAT(RefusalsOf(PlanSwitchover(stopped)), ElementsAre(Refusal::kNoTarget));
}

TEST(FailoverPlan, OnlyACenterWithDatabasesTakesOver) {
  EXPECT_THAT(RefusalsOf(PlanSwitchover(WellSight(), "east")), ElementsAre(Refusal::kNoTarget));
  EXPECT_THAT(RefusalsOf(PlanSwitchover(WellSight(), "north")), ElementsAre(Refusal::kNoTarget));
  EXPECT_THAT(PlanSwitchover(WellSight(), "north").AsError().message, HasSubstr("there is: west"));
  EXPECT_THAT(RefusalsOf(PlanSwitchover(WellSight({.centers = {"east"}, .writer = "east"}))),
              ElementsAre(Refusal::kNoDatabases));
  EXPECT_THAT(RefusalsOf(PlanSwitchover(WellSight({.centers = {"east"}}))), ElementsAre(Refusal::kNoDatabases));
}

TEST(FailoverPlan, OneAtATime) {
  const FailoverPlan plan = PlanSwitchover(WellSight(FailingOver()));
  EXPECT_THAT(RefusalsOf(plan), ElementsAre(Refusal::kUnderWay));
  EXPECT_THAT(plan.AsError().message, HasSubstr("does not begin; under-way: a"));
  EXPECT_THAT(plan.AsError().message, Not(HasSubstr("\"\"")));
}

TEST(FailoverPlan, AnOldTopologyIsNotActedUpon) {
  Sight sight = WellSight();
  sight.document_at = sight.now - std::chrono::milliseconds(1001);
  EXPECT_THAT(RefusalsOf(PlanSwitchover(sight)), ElementsAre(Refusal::kTopologyOld));
  EXPECT_THAT(PlanSwitchover(sight).AsError().message, HasSubstr("is a majority of etcd reached?"));
  sight.document_error = "the document is broken";
  EXPECT_THAT(PlanSwitchover(sight).AsError().message, HasSubstr("too long ago: the document is broken"));
  EXPECT_THAT(FailoverController(kOptions).Decide(sight).attention,
              ElementsAre(HasSubstr("nothing is decided by it: the document is broken")));
}

TEST(FailoverPlan, NothingIsMovedToWhatCanLoseIt) {
  Sight sight = WellSight();
  for (const char* const name : {"w1", "w2"}) sight.databases[name].state.unsafe = "sync_binlog = 0";
  EXPECT_THAT(RefusalsOf(PlanSwitchover(sight)), ElementsAre(Refusal::kUnsafe));
  EXPECT_THAT(FailoverController(kOptions).Decide(sight).attention,
              Contains(HasSubstr("w1 of group g0 runs with sync_")));
  Sight lost = EastIsLost();
  for (const char* const name : {"w1", "w2"}) lost.databases[name].state.unsafe = "sync_binlog = 0";
  EXPECT_TRUE(PlanFailover(lost, {.kind = FailoverKind::kLoss}, kOptions).is_possible()) << "writes would be away";
}

TEST(FailoverPlan, ATopologyThatDatabasesHaveLeftBehindIsNotActedUpon) {
  Sight sight = EastIsLost();
  DatabaseSight& seen = sight.databases["w1"];
  seen.state.obeyed = sight.document->revision + 1;
  EXPECT_EQ(RestoredFromBackup(sight), "") << "it is not known since when";
  seen.obeyed_since = sight.document_at;
  EXPECT_EQ(RestoredFromBackup(sight), "") << "the next read may find the topology of the order";
  seen.obeyed_since = sight.document_at - std::chrono::milliseconds(1);
  EXPECT_THAT(RestoredFromBackup(sight), HasSubstr("w1 has obeyed topology"));
  EXPECT_THAT(RefusalsOf(PlanFailover(sight, {.kind = FailoverKind::kLoss}, kOptions)),
              ElementsAre(Refusal::kRestored));
  const ControllerTurn turn = FailoverController(kOptions).Decide(sight);
  EXPECT_THAT(turn.attention, ElementsAre(HasSubstr("`muster topology restored`")));
  EXPECT_FALSE(turn.next);
}

// What begins is allowed by the rules of the topology, and has the controller's first steps follow.
TEST(FailoverPlan, WhatBeginsFollowsTheRules) {
  for (const bool is_forced : {false, true}) {
    Sight sight = EastIsLost();
    if (is_forced) Silence(sight, "w2");
    TopologyDocument with_caches = *sight.document;
    for (const std::string center : {"east", "west"}) {
      with_caches.caches.push_back({.center = center, .epoch = Epoch(4), .mode = CacheMode::kOn});
    }
    sight.document = std::make_shared<TopologyDocument>(std::move(with_caches));
    const FailoverRequest request{
        .kind = FailoverKind::kLoss, .by_operator = is_forced, .accepts_loss = is_forced, .cause = "test"};
    const FailoverPlan plan = PlanFailover(sight, request, kOptions);
    const auto begun = ChangeTopology(*sight.document, "t", [&](TopologyDocument& document) -> Result<void> {
      document = BeginFailover(sight, plan, request, kOptions);
      return {};
    });
    ASSERT_TRUE(begun) << begun.error().message;
    EXPECT_EQ(begun->groups[0].ackers.size(), is_forced ? 1U : 2U);
    EXPECT_EQ(begun->failover->accepts_loss, is_forced);
    EXPECT_EQ(*begun->FindCache("east"),
              (CacheRecord{.center = "east", .epoch = Epoch(5), .mode = CacheMode::kBypass}));
    EXPECT_EQ(begun->FindCache("west")->mode, is_forced ? CacheMode::kBypass : CacheMode::kOn)
        << "what is given up may be in it";
    sight.document = std::make_shared<TopologyDocument>(*begun);
    FailoverController controller(kOptions);
    const ControllerTurn turn = controller.Decide(sight);
    EXPECT_EQ(turn.orders.size(), is_forced ? 1U : 2U);
    for (const DatabaseOrder& order : turn.orders) {
      EXPECT_EQ(order.kind, OrderKind::kStopReceiving);
      EXPECT_EQ(order.revision, begun->revision);
    }
  }
}

TEST(FailoverController, RefusesWithWhatWouldBeLost) {
  Sight sight = EastIsLost();
  Silence(sight, "w2");
  FailoverController controller(kOptions);
  const ControllerTurn turn = controller.Decide(sight);
  EXPECT_EQ(turn.verdict.health, CenterHealth::kLost);
  EXPECT_FALSE(turn.next);
  ASSERT_THAT(turn.attention, Not(IsEmpty()));
  EXPECT_THAT(turn.attention[0], HasSubstr("acker-vanished"));
}

TEST(FailoverController, ASecondWriterIsToldOf) {
  Sight sight = WellSight();
  EXPECT_THAT(FailoverController(kOptions).Decide(sight).attention, IsEmpty());
  for (const char* name : {"w1", "e2"}) {
    Sight two = sight;
    two.databases[name].state.is_writable = true;
    const ControllerTurn turn = FailoverController(kOptions).Decide(two);
    ASSERT_THAT(turn.attention, Not(IsEmpty())) << name;
    EXPECT_THAT(turn.attention[0], HasSubstr(std::string(name) + " of group g0"));
    EXPECT_THAT(turn.attention[0], HasSubstr("SET GLOBAL read_only = 1"));
    // One that stands still where it was replaced is dealt with by orders.
    two.databases[name].state.following = "";
    for (const std::string& text : FailoverController(kOptions).Decide(two).attention) {
      EXPECT_THAT(text, Not(HasSubstr("read_only")));
    }
  }
}

TEST(FailoverController, WhoLooksOnTellsWhatNeedsSomebodyAndDoesNothing) {
  Sight sight = EastIsLost();
  Silence(sight, "w2");
  testing::Report(sight, "first", "witness", {"w1"});
  const ControllerTurn turn = FailoverController(kOptions).Decide(sight);
  EXPECT_FALSE(turn.leads);
  EXPECT_FALSE(turn.next);
  EXPECT_THAT(turn.orders, IsEmpty());
  ASSERT_THAT(turn.attention, Not(IsEmpty()));
  EXPECT_THAT(turn.attention[0], HasSubstr("acker-vanished"));
}

// Who stood still goes by what it reads from then on: others may have gone on meanwhile.
TEST(FailoverController, WhoStoodStillReadsTheTopologyFirst) {
  Sight sight = EastIsLost();
  sight.awake_since = sight.now - kOptions.detect_after;
  sight.document_at = sight.awake_since - std::chrono::milliseconds(1);
  EXPECT_FALSE(FailoverController(kOptions).Decide(sight).next);
  sight.document_at = sight.awake_since;
  EXPECT_TRUE(FailoverController(kOptions).Decide(sight).next);
}

// Who has just begun to look has seen nobody yet, which does not mean that anybody is away.
TEST(FailoverController, WhoHasJustBegunUndoesNoSwitchover) {
  Sight sight = WellSight();
  const FailoverRequest request{.kind = FailoverKind::kPlanned, .by_operator = true};
  const FailoverPlan plan = PlanFailover(sight, request, kOptions);
  ASSERT_THAT(RefusalsOf(plan), IsEmpty());
  sight.document = std::make_shared<TopologyDocument>(BeginFailover(sight, plan, request, kOptions));
  sight.databases.clear();
  sight.awake_since = sight.now;
  FailoverController controller(kOptions);
  const ControllerTurn turn = controller.Decide(sight);
  EXPECT_TRUE(!turn.next || turn.next->failover);
  sight.now += kOptions.detect_after + std::chrono::milliseconds(1);
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
    const ControllerTurn turn = FailoverController(kOptions).Decide(sight);
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
  FailoverController controller(kOptions);
  const ControllerTurn turn = controller.Decide(sight);
  ASSERT_TRUE(turn.next);
  EXPECT_EQ(turn.next->failover->groups[0].chosen, "w2");
  EXPECT_EQ(turn.next->failover->groups[0].position, "0-1-102");
  // Not while one of them still receives, or obeyed only what came before the failover.
  sight.databases["w1"].state.obeyed = 10;
  EXPECT_FALSE(FailoverController(kOptions).Decide(sight).next);
  sight.databases["w1"].state.obeyed = 11;
  sight.databases["w1"].state.receives = true;
  EXPECT_FALSE(FailoverController(kOptions).Decide(sight).next);
}

// What a primary that was started again has more than its ackers would be taken back if it were lost now.
TEST(FailoverController, APrimaryThatCameBackTakesWritesOnceAnAckerHasAllOfIt) {
  Sight sight = WellSight();
  DatabaseState& primary = sight.databases["e1"].state;
  primary.is_writable = false;
  primary.applied = primary.received = GtidPosition::Of(0, 1, 101);
  const auto is_made_writable = [&] {
    const ControllerTurn turn = FailoverController(kOptions).Decide(sight);
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
    const ControllerTurn turn = FailoverController(kOptions).Decide(sight);
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
  FailoverController controller(kOptions);
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
  FailoverController controller(kOptions);
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
  FailoverController controller(kOptions);
  EXPECT_THAT(controller.Decide(sight).attention, IsEmpty()) << "it may have been seen before it was promoted";
  sight.now += kOptions.acker_patience;
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
  const auto none = FailoverController(kOptions).Decide(sight);
  ASSERT_TRUE(none.next) << "the leases have ended";
  EXPECT_EQ(none.next->failover->groups[0].step, GroupStep::kFenced) << "g1 may still have to be undone";
  sight.databases["w4"].state.applied = GtidPosition::Of(0, 1, 100);
  const auto all = FailoverController(kOptions).Decide(sight);
  ASSERT_TRUE(all.next);
  EXPECT_EQ(all.next->failover->groups[0].chosen, "w1");
  EXPECT_EQ(all.next->failover->groups[1].chosen, "w4");
}

TEST(StartRole, IsAReplicasOnlyOnceAnotherWasPromoted) {
  TopologyDocument document = TwoCenters();
  EXPECT_EQ(StartRoleOf(document, "e1"), StartRole::kAsPrimary);
  EXPECT_EQ(StartRoleOf(document, "w1"), StartRole::kAsPrimary) << "nothing was promoted yet";
  document.groups[0].primary = "w1";
  document.groups[0].promoted_at = "0-1-17";
  EXPECT_EQ(StartRoleOf(document, "e1"), StartRole::kAsReplica);
  EXPECT_EQ(StartRoleOf(document, "w1"), StartRole::kAsPrimary);
  EXPECT_EQ(StartRoleOf(document, "unknown"), StartRole::kAsPrimary);
}

}  // namespace
}  // namespace muster::failover
