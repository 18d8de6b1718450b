#include "topology/topology_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "topology/testing/two_center_topology.h"
#include "topology/topology_codec.h"

namespace muster::rules_test {
namespace {

using ::muster::testing::FailingOver;
using ::muster::testing::TwoCenters;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Change = std::function<void(TopologyDocument&)>;

// What is said of a change that is refused; empty: it was made.
std::string RefusalOf(const TopologyDocument& before, const Change& change) {
  const auto changed = ChangeTopology(before, "t.json", [&](TopologyDocument& document) -> Result<void> {
    change(document);
    return {};
  });
  return changed ? std::string() : changed.error().message;
}

void Begin(TopologyDocument& document, FailoverKind kind = FailoverKind::kLoss) {
  const TopologyDocument as = FailingOver(kind);
  document.epoch = Epoch(document.epoch.value() + 1);
  document.writer.clear();
  document.failover = as.failover;
  document.failover->begin_revision = document.revision + 1;
}

TopologyDocument Chosen() {
  TopologyDocument document = FailingOver();
  document.failover->groups[0] = {.group = "g0", .step = GroupStep::kChosen, .chosen = "w1", .position = "0-1-17"};
  return document;
}

void Promote(TopologyDocument& document) {
  document.failover->groups[0].step = GroupStep::kPromoted;
  document.groups[0].primary = "w1";
  document.groups[0].ackers.clear();
  document.groups[0].durability = Durability::kDegraded;
  document.groups[0].promoted_at = "0-1-17";
}

void End(TopologyDocument& document, const std::string& writer, bool undone) {
  document.failovers.push_back({.from = document.failover->from,
                                .to = document.failover->to,
                                .begin_time = document.failover->begin_time,
                                .end_time = document.failover->begin_time,
                                .undone = undone});
  document.failover.reset();
  document.writer = writer;
  if (undone) document.epoch = Epoch(document.epoch.value() + 1);
}

TEST(TopologyRules, AFailoverGoesThroughItsSteps) {
  const auto step = [](const TopologyDocument& before, const Change& change) {
    const auto changed = ChangeTopology(before, "t.json", [&](TopologyDocument& document) -> Result<void> {
      change(document);
      return {};
    });
    EXPECT_TRUE(changed) << changed.error().message;
    return changed.value_or(before);
  };
  TopologyDocument now = step(TwoCenters(), [](TopologyDocument& d) { Begin(d); });
  now = step(now, [](TopologyDocument& d) { d.failover->leases_ended = true; });
  now = step(now, [](TopologyDocument& d) { d.failover->groups = Chosen().failover->groups; });
  now = step(now, Promote);
  now = step(now, [](TopologyDocument& d) { End(d, "west", false); });
  EXPECT_EQ(now.writer, "west");
  EXPECT_EQ(now.epoch, Epoch(4));
  EXPECT_EQ(now.groups[0].ackers_revision, now.revision - 1) << "since it was promoted";
}

TEST(TopologyRules, TheRightToWriteMovesThroughAFailoverOnly) {
  EXPECT_THAT(RefusalOf(TwoCenters(),
                        [](TopologyDocument& d) {
                          d.epoch = Epoch(9);
                          d.writer = "west";
                        }),
              HasSubstr("is not in the center that writes"));
  EXPECT_THAT(RefusalOf(TwoCenters(), [](TopologyDocument& d) { d.groups[0].primary = "e2"; }),
              HasSubstr("new primary through a failover only"));
  EXPECT_THAT(RefusalOf(TwoCenters(),
                        [](TopologyDocument& d) {
                          Begin(d);
                          d.epoch = Epoch(3);
                        }),
              HasSubstr("without raising the epoch"));
  EXPECT_THAT(RefusalOf(FailingOver(), [](TopologyDocument& d) { End(d, "west", false); }),
              HasSubstr("is not in the center that writes"));
  EXPECT_THAT(RefusalOf(Chosen(),
                        [](TopologyDocument& d) {
                          Promote(d);
                          End(d, "west", false);
                        }),
              HasSubstr("no new primary yet"));
  EXPECT_THAT(RefusalOf(FailingOver(),
                        [](TopologyDocument& d) {
                          d.failover.reset();
                          d.writer = "east";
                        }),
              HasSubstr("is remembered"));
}

TEST(TopologyRules, WhatWasChosenStays) {
  EXPECT_THAT(RefusalOf(Chosen(), [](TopologyDocument& d) { d.failover->groups[0].chosen = "w2"; }),
              HasSubstr("has chosen \"w1\" already"));
  EXPECT_THAT(RefusalOf(Chosen(), [](TopologyDocument& d) { d.failover->groups[0].position = "0-1-16"; }),
              HasSubstr("has chosen \"w1\" already"));
  EXPECT_THAT(RefusalOf(Chosen(), [](TopologyDocument& d) { d.failover->groups[0] = {.group = "g0"}; }),
              HasSubstr("taken back"));
  EXPECT_THAT(RefusalOf(Chosen(), [](TopologyDocument& d) { End(d, "east", true); }), HasSubstr("can only go on"));
  EXPECT_THAT(RefusalOf(Chosen(), [](TopologyDocument& d) { Begin(d); }), HasSubstr("another failover is under way"));
  EXPECT_THAT(RefusalOf(FailingOver(), [](TopologyDocument& d) { End(d, "east", true); }), IsEmpty());
  // A planned one is given up with it, as long as it is not the primary.
  TopologyDocument planned = Chosen();
  planned.failover->kind = FailoverKind::kPlanned;
  planned.failover->leases_ended = true;
  EXPECT_THAT(RefusalOf(planned, [](TopologyDocument& d) { End(d, "east", true); }), IsEmpty());
  Promote(planned);
  EXPECT_THAT(RefusalOf(planned, [](TopologyDocument& d) { End(d, "east", true); }),
              HasSubstr("is not in the center that writes"));
}

TEST(TopologyRules, NothingIsPromotedBeforeTheLeasesHaveEnded) {
  EXPECT_THAT(RefusalOf(Chosen(), Promote), HasSubstr("before the leases"));
  TopologyDocument waited = Chosen();
  waited.failover->leases_ended = true;
  EXPECT_THAT(RefusalOf(waited, Promote), IsEmpty());
  EXPECT_THAT(RefusalOf(waited,
                        [](TopologyDocument& d) {
                          Promote(d);
                          d.groups[0].primary = "w2";
                        }),
              HasSubstr("the chosen database becomes the primary"));
  EXPECT_THAT(RefusalOf(waited, [](TopologyDocument& d) { d.failover->leases_ended = false; }),
              HasSubstr("do not come back"));
  EXPECT_THAT(RefusalOf(TwoCenters(),
                        [](TopologyDocument& d) {
                          Begin(d);
                          d.failover->leases_ended = true;
                        }),
              HasSubstr("have not ended"));
}

TEST(TopologyRules, ADegradedGroupIsNotFailedOverByItself) {
  TopologyDocument degraded = TwoCenters();
  degraded.groups[0].durability = Durability::kDegraded;
  degraded.groups[0].ackers.clear();
  EXPECT_THAT(RefusalOf(degraded, [](TopologyDocument& d) { Begin(d); }), HasSubstr("only an operator"));
  EXPECT_THAT(RefusalOf(degraded, [](TopologyDocument& d) { Begin(d, FailoverKind::kPlanned); }), IsEmpty());
  EXPECT_THAT(RefusalOf(degraded,
                        [](TopologyDocument& d) {
                          Begin(d);
                          d.failover->accepts_loss = true;
                        }),
              HasSubstr("only an operator"));
  EXPECT_THAT(RefusalOf(degraded,
                        [](TopologyDocument& d) {
                          Begin(d);
                          d.failover->by_operator = d.failover->accepts_loss = true;
                          d.groups[0].ackers = {{.name = "w1", .state = AckerState::kIn}};
                        }),
              IsEmpty());
}

TEST(TopologyRules, AFailoverBeginsWithTheAckersThatThereAre) {
  EXPECT_THAT(RefusalOf(TwoCenters(),
                        [](TopologyDocument& d) {
                          Begin(d);
                          d.groups[0].ackers.pop_back();
                        }),
              HasSubstr("each group as it is"));
  EXPECT_THAT(RefusalOf(FailingOver(), [](TopologyDocument& d) { d.groups[0].ackers.pop_back(); }),
              HasSubstr("stays as it is"));
}

TEST(TopologyRules, AnAckerComesAndGoesByItsSteps) {
  const auto set = [](AckerState state) {
    return [state](TopologyDocument& d) { d.groups[0].ackers[1].state = state; };
  };
  const Change remove = [](TopologyDocument& d) { d.groups[0].ackers.pop_back(); };
  TopologyDocument document = TwoCenters();
  EXPECT_THAT(RefusalOf(document, remove), HasSubstr("before it was \"leaving\""));
  EXPECT_THAT(RefusalOf(document, set(AckerState::kLeaving)), IsEmpty());
  EXPECT_THAT(RefusalOf(document, set(AckerState::kJoining)), HasSubstr("goes back"));
  set(AckerState::kLeaving)(document);
  EXPECT_THAT(RefusalOf(document, set(AckerState::kIn)), HasSubstr("goes back"));
  EXPECT_THAT(RefusalOf(document, remove), IsEmpty());
  remove(document);
  EXPECT_THAT(
      RefusalOf(document,
                [](TopologyDocument& d) { d.groups[0].ackers.push_back({.name = "w2", .state = AckerState::kIn}); }),
      HasSubstr("does not begin as \"joining\""));
  EXPECT_THAT(RefusalOf(document, [](TopologyDocument& d) { d.groups[0].ackers.push_back({.name = "w2"}); }),
              IsEmpty());
  EXPECT_THAT(RefusalOf(document,
                        [](TopologyDocument& d) {
                          d.groups[0].ackers.clear();
                          d.groups[0].durability = Durability::kDegraded;
                        }),
              IsEmpty())
      << "visibly: the primary lives and has everything";
  document.groups[0].ackers = {{.name = "w1"}};
  document.groups[0].durability = Durability::kDegraded;
  EXPECT_THAT(RefusalOf(document, [](TopologyDocument& d) { d.groups[0].durability = Durability::kBothCenters; }),
              HasSubstr("without an acker that is \"in\""));
}

TEST(TopologyRules, SinceWhenTheAckersAreAsTheyAre) {
  const auto revision_after = [](const Change& change) {
    const auto changed = ChangeTopology(TwoCenters(), "t.json", [&](TopologyDocument& document) -> Result<void> {
      change(document);
      return {};
    });
    return changed ? changed->groups[0].ackers_revision : -1;
  };
  EXPECT_EQ(revision_after([](TopologyDocument& d) { d.lease_ms = 1'500; }), 1);
  EXPECT_EQ(revision_after([](TopologyDocument& d) { d.groups[0].ackers[0].state = AckerState::kLeaving; }), 1);
  EXPECT_EQ(revision_after([](TopologyDocument& d) {
              d.groups[0].ackers.clear();
              d.groups[0].durability = Durability::kDegraded;
            }),
            11);
}

TEST(TopologyRules, ACacheComesBackThroughANewEpoch) {
  const auto refusal = [](CacheMode from, std::int64_t from_epoch, CacheMode to, std::int64_t to_epoch) {
    TopologyDocument document = TwoCenters();
    document.caches = {{.center = "east", .epoch = Epoch(from_epoch), .mode = from}};
    return RefusalOf(
        document, [&](TopologyDocument& d) { d.caches[0] = {.center = "east", .epoch = Epoch(to_epoch), .mode = to}; });
  };
  EXPECT_THAT(refusal(CacheMode::kOn, 4, CacheMode::kBypass, 5), IsEmpty());
  EXPECT_THAT(refusal(CacheMode::kBypass, 5, CacheMode::kWarming, 6), IsEmpty());
  EXPECT_THAT(refusal(CacheMode::kWarming, 6, CacheMode::kOn, 6), IsEmpty());
  EXPECT_THAT(refusal(CacheMode::kWarming, 6, CacheMode::kBypass, 7), IsEmpty());
  EXPECT_THAT(refusal(CacheMode::kWarming, 6, CacheMode::kWarming, 7), IsEmpty());
  EXPECT_THAT(refusal(CacheMode::kBypass, 5, CacheMode::kOn, 6), HasSubstr("does not go from bypass"));
  EXPECT_THAT(refusal(CacheMode::kBypass, 5, CacheMode::kWarming, 5), HasSubstr("does not go"));
  EXPECT_THAT(refusal(CacheMode::kOn, 4, CacheMode::kBypass, 4), HasSubstr("does not go"));
  EXPECT_THAT(refusal(CacheMode::kOn, 4, CacheMode::kWarming, 3), HasSubstr("does not go"));
  EXPECT_THAT(refusal(CacheMode::kOn, 4, CacheMode::kOn, 5), HasSubstr("does not go"));
  EXPECT_THAT(RefusalOf(TwoCenters(),
                        [](TopologyDocument& d) {
                          d.caches = {{.center = "east", .epoch = Epoch(1), .mode = CacheMode::kOn}};
                        }),
              HasSubstr("not warmed"));
  TopologyDocument document = TwoCenters();
  document.caches = {{.center = "east", .epoch = Epoch(4), .mode = CacheMode::kBypass}};
  EXPECT_THAT(RefusalOf(document, [](TopologyDocument& d) { d.caches.clear(); }), HasSubstr("forgotten"));
}

TEST(TopologyRules, OldFailoversAreForgotten) {
  TopologyDocument document = FailingOver();
  document.failovers.resize(kOutcomesKept, {.from = "east", .to = "west"});
  const auto changed = ChangeTopology(document, "t.json", [](TopologyDocument& d) -> Result<void> {
    End(d, "east", true);
    return {};
  });
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->failovers.size(), kOutcomesKept);
  EXPECT_TRUE(changed->failovers.back().undone);
}

}  // namespace
}  // namespace muster::rules_test
