#include "topology/failover/loss_detector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "topology/failover/testing/sights.h"

namespace muster::failover {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using testing::Report;
using testing::Silence;
using testing::WellSight;

const FailoverOptions kDefaults;

TEST(LossDetector, AnAnsweringPrimaryIsWell) {
  Sight sight = WellSight();
  EXPECT_EQ(JudgeCenter(sight, kDefaults).health, CenterHealth::kWell);
  Silence(sight, "e1", milliseconds(399));
  EXPECT_EQ(JudgeCenter(sight, kDefaults).health, CenterHealth::kWell);
  Silence(sight, "e2");
  EXPECT_EQ(JudgeCenter(sight, kDefaults).health, CenterHealth::kWell) << "no primary";
}

TEST(LossDetector, SilenceForLongEnoughOnWhichAllAgreeIsLoss) {
  Sight sight = WellSight();
  Report(sight, "sw1", "west", {"w1", "w2"});
  Silence(sight, "e1", milliseconds(699));
  EXPECT_EQ(JudgeCenter(sight, kDefaults).health, CenterHealth::kSuspected);
  Silence(sight, "e1", milliseconds(700));
  const CenterVerdict verdict = JudgeCenter(sight, kDefaults);
  EXPECT_EQ(verdict.health, CenterHealth::kLost);
  EXPECT_EQ(verdict.cause, "primary e1 of center east has not answered for 700 ms; agreed by so, sw1");
}

TEST(LossDetector, FreshNewsFromInsideDisputesIt) {
  Sight sight = WellSight();
  Silence(sight, "e1");
  Report(sight, "se", "east", {"e1", "e2"}, milliseconds(700));
  const CenterVerdict verdict = JudgeCenter(sight, kDefaults);
  EXPECT_EQ(verdict.health, CenterHealth::kDisputed);
  EXPECT_THAT(verdict.cause, HasSubstr("se in center east reaches it"));
  sight.reports.clear();
  Report(sight, "se", "east", {"e1", "e2"}, milliseconds(701));
  EXPECT_EQ(JudgeCenter(sight, kDefaults).health, CenterHealth::kLost) << "its report did not move on";
  sight.reports.clear();
  Report(sight, "se", "east", {"e2"});
  EXPECT_EQ(JudgeCenter(sight, kDefaults).health, CenterHealth::kLost) << "the primary alone died";
}

TEST(LossDetector, FreshNewsFromOutsideDisputesItToo) {
  Sight sight = WellSight();
  Silence(sight, "e1");
  Report(sight, "sw1", "west", {"e1"});
  EXPECT_EQ(JudgeCenter(sight, kDefaults).health, CenterHealth::kDisputed);
}

TEST(LossDetector, EnoughObserversHaveToAgree) {
  FailoverOptions two;
  two.observers_min = 2;
  Sight sight = WellSight();
  Silence(sight, "e1");
  EXPECT_EQ(JudgeCenter(sight, two).health, CenterHealth::kSuspected);
  Report(sight, "sw1", "west", {}, milliseconds(900));
  EXPECT_EQ(JudgeCenter(sight, two).health, CenterHealth::kSuspected) << "not fresh";
  Report(sight, "sw2", "west", {});
  EXPECT_EQ(JudgeCenter(sight, two).health, CenterHealth::kLost);
  // From inside nobody decides alone that the own center is lost.
  sight.reports.clear();
  sight.center = "east";
  EXPECT_EQ(JudgeCenter(sight, kDefaults).health, CenterHealth::kSuspected);
}

TEST(LossDetector, WithoutTheBoardNothingIsKnownOfOthers) {
  Sight sight = WellSight();
  Silence(sight, "e1");
  sight.board_at = sight.now - milliseconds(701);
  EXPECT_EQ(JudgeCenter(sight, kDefaults).health, CenterHealth::kSuspected);
  // It was away and is back: those inside have had no time to say that they are well.
  sight.board_at = sight.now;
  sight.board_since = sight.now - milliseconds(199);
  EXPECT_EQ(JudgeCenter(sight, kDefaults).health, CenterHealth::kSuspected);
  sight.board_since = sight.now - milliseconds(200);
  EXPECT_EQ(JudgeCenter(sight, kDefaults).health, CenterHealth::kLost);
}

TEST(LossDetector, WhoStoodStillHasAskedNobody) {
  Sight sight = WellSight();
  Silence(sight, "e1", std::chrono::seconds(30));
  sight.awake_since = sight.now - milliseconds(699);
  EXPECT_EQ(JudgeCenter(sight, kDefaults).health, CenterHealth::kSuspected);
  sight.awake_since = sight.now - milliseconds(700);
  EXPECT_EQ(JudgeCenter(sight, kDefaults).health, CenterHealth::kLost);
}

TEST(LossDetector, TheControllerIsWhoReachesThePrimaries) {
  Sight sight = WellSight();
  Report(sight, "a-west", "west", {"w1", "w2"});
  EXPECT_EQ(ControllerOf(sight, kDefaults), "so");
  Report(sight, "a-east", "east", {"e1", "e2", "w1", "w2"});
  EXPECT_EQ(ControllerOf(sight, kDefaults), "a-east") << "as many, and first by name";
  Silence(sight, "w1");
  sight.reports.clear();
  Report(sight, "z-east", "east", {"e1", "e2", "w1", "w2"});
  EXPECT_EQ(ControllerOf(sight, kDefaults), "z-east");
  sight.reports.back().report.controls = false;
  EXPECT_EQ(ControllerOf(sight, kDefaults), "so");
  sight.reports.clear();
  Report(sight, "z-east", "east", {"e1", "e2", "w1", "w2"}, milliseconds(701));
  EXPECT_EQ(ControllerOf(sight, kDefaults), "so") << "not fresh";
}

// Whoever wrote just before the board fell silent may have gone with the center: its word is not one of now.
TEST(LossDetector, AReportThatMovedOnWhileTheBoardWasSilentIsNotFresh) {
  Sight sight = WellSight();
  sight.reports.clear();
  sight.board_at = sight.board_since = Instant::min();
  const auto moved_at = [&](std::int64_t sequence, Instant sent) {
    TakeReports(sight, {{.observer = "so", .sequence = 1}, {.observer = "a-east", .sequence = sequence}}, sent);
    EXPECT_EQ(sight.board_at, sent);
    EXPECT_EQ(sight.reports.size(), 1U) << "one's own is none";
    return sight.reports[0].moved_at;
  };
  const Instant first = sight.now;
  EXPECT_EQ(moved_at(1, first), first);
  EXPECT_EQ(sight.board_since, first);
  EXPECT_EQ(moved_at(2, first + milliseconds(100)), first + milliseconds(100));
  EXPECT_EQ(moved_at(2, first + milliseconds(200)), first + milliseconds(100)) << "it stands still";
  sight.board_since = Instant::min();
  const Instant again = first + milliseconds(1200);
  EXPECT_EQ(moved_at(3, again), first + milliseconds(200)) << "at some time of the silence";
  EXPECT_EQ(sight.board_since, again);
  EXPECT_EQ(moved_at(4, again + milliseconds(100)), again + milliseconds(100));
}

TEST(ObserverBoard, AReportIsReadAsItWasWritten) {
  ObserverReport report{.observer = "s\"1", .center = "east", .sequence = 7, .controls = true, .reaches = {"a", "b"}};
  for (const auto& refusals : {std::vector<std::string>(), std::vector<std::string>{"b does not obey: \"why\""}}) {
    report.refusals = refusals;
    const auto parsed = ParseReport(RenderReport(report));
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(*parsed, report);
  }
  report.refusals.clear();
  EXPECT_EQ(RenderReport(report).find("refusals"), std::string::npos)
      << "versions that do not know it would not read it";
  EXPECT_FALSE(ParseReport("{}"));
  EXPECT_FALSE(ParseReport(RenderReport(report) + "x"));
  EXPECT_FALSE(ParseReport(std::string(100'000, ' ')));
}

}  // namespace
}  // namespace muster::failover
