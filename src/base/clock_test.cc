#include "base/clock.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

TEST(ManualClock, MovesOnlyWhenTold) {
  ManualClock clock;
  const Timestamp now = clock.Now();
  const Instant instant = clock.Monotonic();
  EXPECT_EQ(clock.Now(), now);
  clock.Advance(microseconds(7));
  EXPECT_EQ(clock.Now() - now, microseconds(7));
  EXPECT_EQ(clock.Monotonic() - instant, microseconds(7));
}

TEST(SystemClock, TellsThisCentury) {
  const SystemClock clock;
  EXPECT_GT(clock.Now(), Timestamp(seconds(1'700'000'000)));
  const Instant before = clock.Monotonic();
  EXPECT_GE(clock.Monotonic(), before);
}

TEST(Deadline, PassesAtItsMoment) {
  ManualClock clock;
  const Deadline deadline = Deadline::After(clock, seconds(1));
  EXPECT_FALSE(deadline.Passed(clock));
  clock.Advance(seconds(1) - microseconds(1));
  EXPECT_FALSE(deadline.Passed(clock));
  clock.Advance(microseconds(1));
  EXPECT_TRUE(deadline.Passed(clock));
}

TEST(Deadline, NeverPassesUnlessGiven) {
  ManualClock clock(Timestamp(seconds(250'000'000'000)));
  EXPECT_FALSE(Deadline().Passed(clock));
}

}  // namespace
}  // namespace muster
