// Where groups are, by a topology and by what is known of copies: for both centers, while all is well and while it
// moves.

#include "store/mariadb/topology_placement.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "topology/testing/two_center_topology.h"

namespace muster::mariadb {
namespace {

using muster::testing::FailingOver;
using muster::testing::TwoCenters;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kConfirmed(seconds(1000));
constexpr Instant kSoleUntil = kConfirmed + milliseconds(TopologyDocument::kLeaseMsDefault);

std::vector<std::string> NamesOf(const GroupPlacement& placement) {
  std::vector<std::string> names;
  for (const auto& copy : placement.copies) names.push_back(copy.endpoint.host);
  return names;
}

using Names = std::vector<std::string>;

TEST(TopologyPlacement, CopiesAreThoseOfTheCenterAndTheNearestInTimeComesFirst) {
  const failover::ReplicaLag::Times times = {
      {"e2", kConfirmed}, {"w1", kConfirmed - seconds(3)}, {"w2", kConfirmed - seconds(2)}};
  const auto west = PlacementOf(TwoCenters(2), kConfirmed, "west", times);
  ASSERT_EQ(west.size(), 2U);
  EXPECT_EQ(west[0].name, "g0");
  EXPECT_EQ(west[1].name, "g1");
  EXPECT_EQ(west[0].primary, Endpoint::Parse("e1:3306").value());
  EXPECT_EQ(west[1].primary, Endpoint::Parse("e3:3306").value());
  EXPECT_EQ(west[0].sole_until, kSoleUntil);
  EXPECT_EQ(NamesOf(west[0]), (Names{"w2", "w1"}));
  EXPECT_EQ(west[0].copies[0].has_all_before, kConfirmed - seconds(2));
  EXPECT_TRUE(west[0].copies[0].is_durable);
  // Ackers of which nothing is known are copies all the same: their answers are of an unknown age, and were given.
  EXPECT_EQ(NamesOf(west[1]), (Names{"w3", "w4"}));
  EXPECT_EQ(west[1].copies[0].has_all_before, Instant::min());
}

TEST(TopologyPlacement, InThePrimarysCenterItIsTheFirstCopyAndAReplicaThatAcknowledgesNothingTheLast) {
  const auto east = PlacementOf(TwoCenters(2), kConfirmed, "east", {{"e2", kConfirmed + seconds(9)}});
  EXPECT_EQ(NamesOf(east[0]), (Names{"e1", "e2"}));
  EXPECT_EQ(east[0].copies[0].has_all_before, kSoleUntil) << "not behind, for as long as it must be the primary";
  EXPECT_TRUE(east[0].copies[0].is_durable);
  EXPECT_FALSE(east[0].copies[1].is_durable) << "it may have what is lost with the primary";
  EXPECT_EQ(NamesOf(east[1]), Names{"e3"}) << "of e4 it is not known whether it is of this history";
}

TEST(TopologyPlacement, WhileItMovesThereIsNoPrimaryAndTheLastOneIsACopyThatMayHaveTooMuch) {
  for (const FailoverKind kind : {FailoverKind::kLoss, FailoverKind::kPlanned}) {
    const TopologyDocument document = FailingOver(kind);
    const auto east = PlacementOf(document, kConfirmed, "east", {{"e2", kConfirmed - seconds(1)}});
    EXPECT_FALSE(east[0].primary);
    EXPECT_EQ(NamesOf(east[0]), (Names{"e1", "e2"}));
    EXPECT_EQ(east[0].copies[0].has_all_before, kConfirmed);
    EXPECT_FALSE(east[0].copies[0].is_durable);
    const auto west = PlacementOf(document, kConfirmed, "west", {{"w1", kConfirmed - seconds(1)}});
    EXPECT_FALSE(west[0].primary);
    EXPECT_EQ(NamesOf(west[0]), (Names{"w1", "w2"}));
  }
  TopologyDocument nobody = TwoCenters();
  nobody.writer.clear();
  EXPECT_FALSE(PlacementOf(nobody, kConfirmed, "west", {})[0].primary);
}

TEST(TopologyPlacement, AfterAFailoverTheLastPrimaryIsNoCopyUntilItIsKnownToBeOfThisHistory) {
  TopologyDocument document = TwoCenters();
  document.writer = "west";
  document.groups[0].primary = "w1";
  document.groups[0].ackers.clear();
  EXPECT_TRUE(PlacementOf(document, kConfirmed, "east", {})[0].copies.empty());
  EXPECT_EQ(NamesOf(PlacementOf(document, kConfirmed, "east", {{"e1", kConfirmed}})[0]), Names{"e1"});
  EXPECT_EQ(PlacementOf(document, kConfirmed, "east", {})[0].primary, Endpoint::Parse("w1:3306").value());
}

TEST(TopologyPlacement, WithoutCentersAllAreHereAndThePrimaryStays) {
  TopologyDocument document = TwoCenters();
  document.centers.clear();
  document.writer.clear();
  for (DatabaseRecord& database : document.groups[0].databases) database.center.clear();
  const auto here = PlacementOf(document, Instant::min(), "", {});
  EXPECT_EQ(here[0].primary, Endpoint::Parse("e1:3306").value());
  EXPECT_EQ(here[0].sole_until, Instant::max());
  EXPECT_EQ(NamesOf(here[0]), (Names{"e1", "w1", "w2"}));
}

TEST(TopologyPlacement, AnAddressThatIsNoneIsNowhere) {
  TopologyDocument document = TwoCenters();
  document.groups[0].databases[0].address = "nowhere";
  const auto east = PlacementOf(document, kConfirmed, "east", {});
  EXPECT_FALSE(east[0].primary);
  EXPECT_TRUE(east[0].copies.empty());
}

TEST(TopologyPlacement, IsLookedAtAgainWhenItIsNotFreshAndKeptWhenNothingIsKnown) {
  ManualClock clock;
  int looks = 0;
  failover::FailoverStatus status;
  TopologyPlacement placement(
      [&] {
        ++looks;
        return status;
      },
      "west", clock);
  EXPECT_TRUE(placement.Now()->empty());
  status.document = std::make_shared<TopologyDocument>(TwoCenters());
  status.document_at = kConfirmed;
  EXPECT_TRUE(placement.Now()->empty());
  EXPECT_EQ(looks, 1);
  clock.Advance(TopologyPlacement::kFreshFor);
  EXPECT_EQ(placement.Now()->size(), 1U);
  EXPECT_EQ(looks, 2);
  status.document = nullptr;
  clock.Advance(TopologyPlacement::kFreshFor);
  EXPECT_EQ(placement.Now()->size(), 1U);
}

TEST(TopologyPlacement, TheMapIsThatOfTheSameSightOrALaterOne) {
  failover::FailoverStatus status;
  ManualClock clock;
  TopologyPlacement placement([&] { return status; }, "west", clock);
  EXPECT_EQ(placement.Shards()->group_count(), 0U);
  status.document = std::make_shared<TopologyDocument>(TwoCenters(2));
  clock.Advance(TopologyPlacement::kFreshFor);
  EXPECT_EQ(placement.Now()->size(), 2U);
  EXPECT_EQ(*placement.Shards(), ShardMap::Spread(2));
  auto moved = TwoCenters(2);
  moved.groups[0].shards.set();
  moved.shards_revision = 11;
  status.document = std::make_shared<TopologyDocument>(std::move(moved));
  EXPECT_EQ(*placement.Shards(), ShardMap::Spread(2)) << "what was looked at a moment ago is good enough";
  clock.Advance(TopologyPlacement::kFreshFor);
  EXPECT_EQ(placement.Shards()->ShardsOf(0), ShardSet().set());
}

// Rows that came with shards are in a copy of the other group a little later than its primary's rows are.
TEST(TopologyPlacement, CopiesOfAGroupThatHasGotShardsAreTrustedOnceTheyHaveAllUntilThatWasSeen) {
  TopologyDocument document = TwoCenters(2);
  NameShards(document);
  document.shards_revision = 11;
  ManualClock clock;
  clock.Advance(seconds(1000));
  failover::FailoverStatus status;
  const auto see = [&](std::map<std::string, Duration> behind) {
    clock.Advance(TopologyPlacement::kFreshFor);
    status.document = std::make_shared<TopologyDocument>(document);
    status.document_at = clock.Monotonic();
    status.has_all_before.clear();
    for (const auto& [name, by] : behind) status.has_all_before[name] = clock.Monotonic() - by;
  };
  see({{"w1", seconds(2)}, {"w3", seconds(2)}, {"w4", seconds(1)}});
  TopologyPlacement west([&] { return status; }, "west", clock);
  TopologyPlacement east([&] { return status; }, "east", clock);
  EXPECT_EQ((*west.Now())[1].copies[0].has_all_before, status.has_all_before["w4"]);

  document.groups[0].shards[0] = false;
  document.groups[1].shards[0] = true;
  document.shards_revision = 12;
  see({{"w1", seconds(2)}, {"w3", seconds(2)}, {"w4", seconds(1)}, {"e4", seconds(1)}});
  EXPECT_EQ((*west.Now())[0].copies[0].has_all_before, status.has_all_before["w1"]) << "it has lost some";
  EXPECT_EQ(NamesOf((*west.Now())[1]), (Names{"w4", "w3"}));
  for (const GroupPlacement::Copy& copy : (*west.Now())[1].copies) EXPECT_EQ(copy.has_all_before, Instant::min());
  EXPECT_EQ(NamesOf((*east.Now())[1]), Names{"e3"}) << "the primary has them; e4 is none to be asked last";
  EXPECT_NE((*east.Now())[1].copies[0].has_all_before, Instant::min());

  // Each as soon as it has all until then.
  const Duration since = TopologyPlacement::kFreshFor;
  see({{"w1", seconds(2)}, {"w3", since + milliseconds(1)}, {"w4", since}});
  const auto later = west.Now();
  EXPECT_EQ(NamesOf((*later)[1]), (Names{"w4", "w3"}));
  EXPECT_EQ((*later)[1].copies[0].has_all_before, status.has_all_before["w4"]);
  EXPECT_EQ((*later)[1].copies[1].has_all_before, Instant::min());
}

TEST(TopologyPlacement, WhoeverBeginsWhileShardsMoveTrustsCopiesOnceTheyHaveAllUntilThen) {
  TopologyDocument document = TwoCenters(2);
  NameShards(document);
  document.shards_revision = 11;
  document.shard_move = ShardMoveRecord{.from = "g0", .to = "g1", .shards = *ParseShards("0")};
  ManualClock clock;
  clock.Advance(seconds(1000));
  failover::FailoverStatus status;
  status.document = std::make_shared<TopologyDocument>(document);
  status.has_all_before["w3"] = clock.Monotonic() - milliseconds(1);
  TopologyPlacement placement([&] { return status; }, "west", clock);
  EXPECT_EQ((*placement.Now())[1].copies[0].has_all_before, Instant::min());
  clock.Advance(TopologyPlacement::kFreshFor);
  status.has_all_before["w3"] = clock.Monotonic();
  EXPECT_EQ((*placement.Now())[1].copies[0].has_all_before, clock.Monotonic());
}

TEST(GroupPlace, IsThatOfOneNameAlone) {
  auto groups = std::make_shared<std::vector<GroupPlacement>>(PlacementOf(TwoCenters(2), kConfirmed, "west", {}));
  const GroupPlace place([&] { return groups; }, 1);
  EXPECT_TRUE(place.moves());
  EXPECT_EQ(place.Primary(Use::kWrite), Endpoint::Parse("e3:3306").value());
  EXPECT_TRUE(place.IsPrimary(*Endpoint::Parse("e3:3306")));
  EXPECT_FALSE(place.IsPrimary(*Endpoint::Parse("e1:3306")));
  // Another group comes in its place: whoever wrote there would write into another group's rows.
  groups->erase(groups->begin());
  groups->push_back(groups->front());
  groups->back().name = "g2";
  EXPECT_FALSE(place.Primary(Use::kWrite));
  EXPECT_EQ(place.Primary(Use::kWrite).error().reason, Reason::kWritesUnavailable);
  EXPECT_EQ(place.Primary(Use::kRead).error().reason, Reason::kOverloaded);
  EXPECT_GT(place.Primary(Use::kRead).error().retry_after_ms, 0);
  EXPECT_EQ(place.Now()->name, "g1");
  groups->clear();
  EXPECT_FALSE(place.Primary(Use::kWrite));
  const GroupPlace fixed = GroupPlace::Fixed(*Endpoint::Parse("db:3306"));
  EXPECT_FALSE(fixed.moves());
  EXPECT_TRUE(fixed.IsPrimary(*Endpoint::Parse("db:3306")));
}

}  // namespace
}  // namespace muster::mariadb
