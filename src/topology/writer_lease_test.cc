#include "topology/writer_lease.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace muster {
namespace {

using std::chrono::milliseconds;

TopologyDocument Under(int epoch, const std::string& writer) {
  return {.revision = epoch, .epoch = Epoch(epoch), .centers = {"east", "west"}, .writer = writer, .lease_ms = 1000};
}

class WriterLeaseTest : public ::testing::Test {
 protected:
  Instant Now() const { return clock_.Monotonic(); }
  bool IsValid() const { return lease_.IsValid(Now()); }
  void ExpectOver() const {
    EXPECT_FALSE(IsValid());
    EXPECT_FALSE(lease_.current().Covers(lease_.epoch(), Now()));
  }

  ManualClock clock_;
  WriterLeaseKeeper lease_{"east", LeaseTerm::kTimed};
};

TEST_F(WriterLeaseTest, IsNotThereAtFirst) { ExpectOver(); }

TEST_F(WriterLeaseTest, CountsFromBeforeTheReadWasSent) {
  const Instant sent = Now();
  clock_.Advance(milliseconds(300));  // until the answer came
  lease_.Confirm(Under(4, "east"), sent);
  EXPECT_EQ(lease_.epoch(), Epoch(4));
  EXPECT_EQ(lease_.valid_until(), sent + milliseconds(1000));
  clock_.Advance(milliseconds(699));
  EXPECT_TRUE(IsValid());
  EXPECT_TRUE(lease_.current().Covers(Epoch(4), Now()));
  EXPECT_FALSE(lease_.current().Covers(Epoch(3), Now()));
  clock_.Advance(milliseconds(1));
  ExpectOver();
}

TEST_F(WriterLeaseTest, ALateAnswerProlongsNothing) {
  const Instant sent = Now();
  clock_.Advance(milliseconds(1000));
  lease_.Confirm(Under(4, "east"), sent);
  ExpectOver();
}

TEST_F(WriterLeaseTest, AConfirmationRenewsIt) {
  for (int i = 0; i < 20; ++i) {
    lease_.Confirm(Under(4, "east"), Now());
    clock_.Advance(milliseconds(999));
    EXPECT_TRUE(IsValid());
  }
}

TEST_F(WriterLeaseTest, IsThereForEveryCenterOfTheTopology) {
  lease_.Confirm(Under(4, "west"), Now());
  EXPECT_TRUE(IsValid()) << "its databases are in the other center";
  WriterLeaseKeeper stranger("north", LeaseTerm::kTimed);
  stranger.Confirm(Under(4, "west"), Now());
  EXPECT_FALSE(stranger.IsValid(Now()));
}

TEST_F(WriterLeaseTest, EndsAtOnceWhenNobodyMayWrite) {
  lease_.Confirm(Under(4, "east"), Now());
  lease_.Confirm(Under(5, ""), Now());
  ExpectOver();
}

TEST_F(WriterLeaseTest, ANewerEpochEndsTheOneBefore) {
  lease_.Confirm(Under(4, "east"), Now());
  lease_.Confirm(Under(5, "west"), Now());
  EXPECT_FALSE(lease_.current().Covers(Epoch(4), Now()));
  EXPECT_TRUE(lease_.current().Covers(Epoch(5), Now()));
}

TEST_F(WriterLeaseTest, AnOlderEpochIsNotBelieved) {
  lease_.Confirm(Under(5, ""), Now());
  lease_.Confirm(Under(4, "east"), Now());
  ExpectOver();
  EXPECT_EQ(lease_.epoch(), Epoch(5));
  lease_.Confirm(Under(5, "east"), Now());
  EXPECT_TRUE(IsValid()) << "a failover publishes its writer under the epoch that it won";
}

TEST_F(WriterLeaseTest, FollowsTheTopologysTerm) {
  TopologyDocument document = Under(4, "east");
  document.lease_ms = 300;
  lease_.Confirm(document, Now());
  EXPECT_EQ(lease_.valid_until(), Now() + milliseconds(300));
}

TEST(WriterLease, WithoutCentersWhoeverHasNoneWrites) {
  WriterLeaseKeeper nowhere("", LeaseTerm::kTimed);
  nowhere.Confirm({.epoch = Epoch(1)}, Instant(milliseconds(5)));
  EXPECT_EQ(nowhere.valid_until(), Instant(milliseconds(1005)));
  nowhere.Confirm(Under(2, ""), Instant(milliseconds(5)));
  EXPECT_EQ(nowhere.valid_until(), Instant::min()) << "nobody may write, so neither may who has no center";
  WriterLeaseKeeper east("east", LeaseTerm::kTimed);
  east.Confirm({.epoch = Epoch(1)}, Instant(milliseconds(5)));
  EXPECT_EQ(east.valid_until(), Instant::min()) << "the topology does not know of it";
}

TEST(WriterLease, WhileTheDataAreHeldItDoesNotEnd) {
  WriterLeaseKeeper lease("", LeaseTerm::kWhileDataHeld);
  EXPECT_EQ(lease.valid_until(), Instant::min());
  lease.Confirm({.epoch = Epoch(1)}, Instant(milliseconds(5)));
  EXPECT_EQ(lease.valid_until(), Instant::max());
  lease.Confirm({.epoch = Epoch(2)}, Instant(milliseconds(5)));
  EXPECT_EQ(lease.epoch(), Epoch(2));
  EXPECT_EQ(lease.valid_until(), Instant::max());
}

// Whoever moves the epoch: his wait begins when the change was acknowledged, which is after every read that did not see
// it was sent.
TEST(WriterLease, WhoeverMovesTheEpochOutwaitsIt) {
  ManualClock clock;
  WriterLeaseKeeper lease("east", LeaseTerm::kTimed);
  const TopologyDocument before = Under(4, "east");
  lease.Confirm(before, clock.Monotonic());
  clock.Advance(WaitAfterMove(before));
  EXPECT_FALSE(lease.IsValid(clock.Monotonic()));
  EXPECT_EQ(WaitAfterMove(before), milliseconds(1011));
  EXPECT_EQ(RenewalPeriod(before), milliseconds(250));
}

// Odd epochs are granted until the hour of their number, even ones never: a reader must not see one's time with the
// other's number.
TEST(WriterLease, ReadersSeeAnEpochWithItsOwnTime) {
  constexpr int kEpochs = 20'000;
  WriterLeaseKeeper lease("east", LeaseTerm::kTimed);
  std::atomic<bool> is_over = false;
  std::vector<std::jthread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!is_over) {
        const WriterLease seen = lease.current();
        if (seen.valid_until == Instant::min()) continue;
        EXPECT_EQ(seen.epoch.value() % 2, 1);
        EXPECT_EQ(seen.valid_until, Instant(std::chrono::hours(seen.epoch.value()) + milliseconds(1000)));
      }
    });
  }
  for (int epoch = 1; epoch <= kEpochs; ++epoch) {
    lease.Confirm(Under(epoch, epoch % 2 == 1 ? "east" : ""), Instant(std::chrono::hours(epoch)));
  }
  is_over = true;
}

}  // namespace
}  // namespace muster
