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
using testing::EastIsLost;
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
