#include "topology/failover/replica_lag.h"

#include <gtest/gtest.h>

#include <optional>

#include "topology/failover/testing/sights.h"

namespace muster::failover {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ReplicaLagTest : public ::testing::Test {
 protected:
  ReplicaLagTest() {
    Note();
    Pass(milliseconds(100));
  }

  TopologyDocument& Edit() {
    document_ = *sight_.document;
    return document_;
  }
  void Store() { sight_.document = std::make_shared<TopologyDocument>(document_); }
  // Time passes, in which the topology is confirmed.
  void Pass(Duration time) {
    sight_.now += time;
    sight_.document_at = sight_.now;
  }
  void Look(const std::string& name, std::uint64_t number, std::uint32_t server = 1) {
    DatabaseSight& seen = sight_.databases[name];
    seen.state.applied = seen.state.received = GtidPosition::Of(0, server, number);
    seen.looked_at = sight_.now;
  }
  void Note() { lag_.Note(sight_); }
  std::optional<Instant> Of(const std::string& name) {
    const auto found = lag_.has_all_before().find(name);
    return found == lag_.has_all_before().end() ? std::nullopt : std::optional(found->second);
  }

  Sight sight_ = testing::WellSight();
  TopologyDocument document_;
  ReplicaLag lag_;
};

TEST_F(ReplicaLagTest, NothingIsKnownBeforeThePrimaryWasLookedAtUnderThisTopology) {
  // The looks of the beginning were sent before it was known.
  ReplicaLag fresh;
  sight_.databases["e1"].looked_at = sight_.now - milliseconds(1);
  fresh.Note(sight_);
  EXPECT_TRUE(fresh.has_all_before().empty());
}

TEST_F(ReplicaLagTest, ACopyThatHasWhatThePrimaryHadLacksNothingFromBeforeThatLook) {
  Look("e1", 100);
  const Instant looked = sight_.now;
  Note();
  EXPECT_EQ(Of("w1"), looked) << "it has 100 too";
  EXPECT_EQ(Of("e1"), std::nullopt) << "the primary is not behind";
  // Both looks later: the copy is behind the newer one, and has the one before.
  Pass(milliseconds(100));
  Look("e1", 110);
  Note();
  EXPECT_EQ(Of("w1"), looked);
  Pass(milliseconds(100));
  const Instant second = sight_.now - milliseconds(100);
  Look("w1", 110);
  Note();
  EXPECT_EQ(Of("w1"), second) << "when the look was sent that showed 110, not when the copy was seen to have it";
  EXPECT_EQ(Of("w2"), looked);
}

TEST_F(ReplicaLagTest, WhileNothingIsWrittenACopyIsNotBehind) {
  for (int i = 0; i < 3; ++i) {
    Pass(seconds(10));
    Look("e1", 100);
    Note();
    EXPECT_EQ(Of("w1"), sight_.now);
  }
}

TEST_F(ReplicaLagTest, AnApplyingThreadThatStandsStillIsSeen) {
  Look("e1", 100);
  Note();
  const Instant last = sight_.now;
  for (std::uint64_t number = 101; number < 150; ++number) {
    Pass(milliseconds(100));
    Look("e1", number);
    // It receives, and applies nothing.
    sight_.databases["w1"].looked_at = sight_.now;
    sight_.databases["w1"].state.received = GtidPosition::Of(0, 1, number);
    Note();
  }
  EXPECT_EQ(Of("w1"), last);
}

TEST_F(ReplicaLagTest, PositionsAreBoundedAndWhoeverIsFurtherBehindIsNotSaidToBeNearer) {
  Look("e1", 100);
  Note();
  const Instant first = sight_.now;
  for (std::uint64_t i = 1; i <= 2 * ReplicaLag::kPositionsMax; ++i) {
    Pass(milliseconds(100));
    Look("e1", 100 + i);
    Note();
  }
  Look("w1", 101);  // of which nothing is remembered any more
  Note();
  EXPECT_EQ(Of("w1"), first);
  Look("w1", 100 + 2 * ReplicaLag::kPositionsMax - 1);
  Note();
  EXPECT_EQ(Of("w1"), sight_.now - milliseconds(100));
}

TEST_F(ReplicaLagTest, APrimaryThatMayHaveBeenReplacedSaysNothing) {
  Look("e1", 100);
  Note();
  const Instant known = sight_.now;
  // The topology is confirmed no more; when its lease is over another center may write.
  sight_.now += milliseconds(TopologyDocument::kLeaseMsDefault);
  Look("e1", 100);
  Note();
  EXPECT_EQ(Of("w1"), known);
  // One that is confirmed again counts, with looks from now on.
  Pass(Duration(0));
  Look("e1", 100);
  Note();
  EXPECT_EQ(Of("w1"), sight_.now);
}

TEST_F(ReplicaLagTest, APrimaryThatWasDrainedSaysNothingAlsoWithinTheLease) {
  Look("e1", 100);
  Note();
  const Instant known = sight_.now;
  Pass(milliseconds(100));
  Look("e1", 100);
  sight_.databases["e1"].state.is_writable = false;
  Note();
  EXPECT_EQ(Of("w1"), known);
}

TEST_F(ReplicaLagTest, AfterAFailoverPositionsOfTheLastPrimaryCountNoMore) {
  Look("e1", 120);  // 20 of them nobody acknowledged
  Note();
  const std::optional<Instant> known = Of("w2");
  TopologyDocument& document = Edit();
  document.epoch = Epoch(4);
  document.writer = "west";
  document.groups[0].primary = "w1";
  document.groups[0].ackers = {};
  document.groups[0].promoted_at = "0-1-100";
  Store();
  sight_.databases["w1"].state.is_writable = true;
  sight_.databases["w1"].state.following.clear();
  Pass(seconds(1));
  Note();
  EXPECT_EQ(Of("w1"), std::nullopt) << "it is the primary";
  Pass(milliseconds(100));
  Look("w1", 120, 3);
  sight_.databases["w2"].state.following = document.groups[0].Find("w1")->address;
  Look("w2", 120, 1);  // what the last primary wrote and nobody acknowledged
  Note();
  EXPECT_EQ(Of("w2"), known) << "the number is the same, and it is of another history";
  Look("w2", 120, 3);
  Note();
  EXPECT_EQ(Of("w2"), sight_.now);
}

TEST_F(ReplicaLagTest, WhatACopyHadItHasDuringAFailover) {
  Look("e1", 100);
  Note();
  const Instant known = sight_.now;
  document_ = ::muster::testing::FailingOver();
  Store();
  Pass(seconds(1));
  Look("e1", 100);
  sight_.databases["w1"].state.receives = sight_.databases["w1"].state.is_connected = false;
  Note();
  EXPECT_EQ(Of("w1"), known);
}

TEST_F(ReplicaLagTest, WhatHasDivergedOrFollowsNobodyIsNotKnown) {
  Look("e1", 100);
  Note();
  ASSERT_TRUE(Of("w1") && Of("w2") && Of("e2"));
  sight_.databases["w1"].state.fault = ReplicaFault::kDiverged;
  sight_.databases["w2"].state.following.clear();
  sight_.databases["e2"].state.is_writable = true;
  Note();
  EXPECT_FALSE(Of("w1") || Of("w2") || Of("e2"));
  // One that has more than its primary, of another history, and has not found that out yet.
  sight_.databases["w2"].state.following = sight_.document->groups[0].Find("e1")->address;
  sight_.databases["w2"].state.is_connected = false;
  Look("w2", 130);
  Note();
  EXPECT_FALSE(Of("w2"));
}

TEST_F(ReplicaLagTest, ADatabaseThatIsNotNamedAnyMoreIsForgotten) {
  Look("e1", 100);
  Note();
  ASSERT_TRUE(Of("w2"));
  TopologyDocument& document = Edit();
  std::erase_if(document.groups[0].databases, [](const DatabaseRecord& database) { return database.name == "w2"; });
  Store();
  Note();
  EXPECT_FALSE(Of("w2"));
  document.groups.clear();
  Store();
  Note();
  EXPECT_TRUE(lag_.has_all_before().empty());
}

}  // namespace
}  // namespace muster::failover
