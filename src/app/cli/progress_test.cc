#include "app/cli/progress.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

TEST(ProgressTest, NumbersHaveThousands) {
  EXPECT_EQ(WithThousands(0), "0");
  EXPECT_EQ(WithThousands(999), "999");
  EXPECT_EQ(WithThousands(1000), "1,000");
  EXPECT_EQ(WithThousands(1'234'567), "1,234,567");
}

TEST(ProgressTest, DurationsAreShort) {
  EXPECT_EQ(ShortDuration(0.2), "0s");
  EXPECT_EQ(ShortDuration(59.4), "59s");
  EXPECT_EQ(ShortDuration(59.6), "1m 00s");
  EXPECT_EQ(ShortDuration(3600 + 120), "1h 02m");
}

TEST(ProgressTest, ALineSaysHowFarHowFastAndHowLong) {
  EXPECT_EQ(
      Progress::Line("importing", "lines", {.done = 250'000, .fraction = 0.25, .rate = 50'000, .seconds_left = 15}, 8),
      "importing [##......] 25 %  250,000 lines  50,000/s  15s left");
  EXPECT_EQ(
      Progress::Line("importing", "lines", {.done = 250'000, .fraction = 0.25, .rate = 50'000, .seconds_left = 15}, 0),
      "importing 25 %  250,000 lines  50,000/s  15s left");
  EXPECT_EQ(Progress::Line("exporting", "members", {.done = 7}, 8), "exporting 7 members");
  EXPECT_EQ(Progress::Line("x", "y", {.done = 1, .fraction = 1.2}, 4), "x [####] 100 %  1 y");
}

TEST(ProgressTest, ReportsInAnyOrderDoNotBreakIt) {
  ManualClock clock;
  Progress progress("examining", "rows", clock);
  progress.Report(0, 0);
  clock.Advance(std::chrono::seconds(20));
  progress.Report(5, 10);
  progress.Report(4, 10);
  clock.Advance(std::chrono::seconds(20));
  progress.Report(10, 10);
  progress.Finish();
  progress.Finish();
}

}  // namespace
}  // namespace muster
