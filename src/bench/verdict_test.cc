#include "bench/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

Measurement Measured(LatencyHistogram::Time own_lag, LatencyHistogram::Time delay, double busiest,
                     std::uint64_t unsent = 0) {
  Measurement measurement;
  measurement.own_lag.Record(own_lag, 100);
  measurement.delay.Record(delay, 100);
  measurement.busiest = busiest;
  measurement.unsent = unsent;
  return measurement;
}

TEST(VerdictTest, ARateThatWasKeptHasNoLimit) {
  const LoadVerdict verdict = Judge(Measured(microseconds(50), microseconds(80), 0.97), true);
  EXPECT_EQ(verdict.limit, LoadLimit::kNone);
  EXPECT_EQ(verdict.reason, "");
}

TEST(VerdictTest, OwnLagIsTheGenerators) {
  const LoadVerdict verdict = Judge(Measured(milliseconds(3), milliseconds(3), 0.2), true);
  EXPECT_EQ(verdict.limit, LoadLimit::kGenerator);
  EXPECT_THAT(verdict.reason, HasSubstr("3.0 ms"));
}

TEST(VerdictTest, BehindTheRateItIsTheServerUnlessTheGeneratorHadNoTime) {
  EXPECT_EQ(Judge(Measured(microseconds(10), milliseconds(500), 0.3), true).limit, LoadLimit::kServer);
  EXPECT_EQ(Judge(Measured(microseconds(10), milliseconds(1), 0.3, 7), true).limit, LoadLimit::kServer);
  EXPECT_EQ(Judge(Measured(microseconds(10), milliseconds(500), 0.95), true).limit, LoadLimit::kGenerator);
}

TEST(VerdictTest, WithoutARateSomebodyIsTheLimit) {
  Measurement measurement = Measured({}, {}, 0.6);
  EXPECT_THAT(Judge(measurement, false).reason, HasSubstr("after the warm-up was answered"));
  measurement.answered.Record(milliseconds(1), 1);
  EXPECT_EQ(Judge(measurement, false).limit, LoadLimit::kServer);
  EXPECT_THAT(Judge(measurement, false).reason, HasSubstr("had time left"));
  const LoadVerdict verdict = Judge(Measured({}, {}, 0.98), false);
  EXPECT_EQ(verdict.limit, LoadLimit::kGenerator);
  EXPECT_THAT(verdict.reason, HasSubstr("98 %"));
}

TEST(VerdictTest, ASecondIsJudgedByItsOwnLag) {
  LoadWindow window;
  window.busiest = 0.95;
  window.own_lag.Record(microseconds(20), 100);
  EXPECT_FALSE(IsGeneratorLimited(window, true));
  EXPECT_TRUE(IsGeneratorLimited(window, false));
  window.own_lag.Record(milliseconds(2), 100);
  EXPECT_TRUE(IsGeneratorLimited(window, true));
}

TEST(VerdictTest, Names) {
  EXPECT_EQ(LimitName(LoadLimit::kNone), "none");
  EXPECT_EQ(LimitName(LoadLimit::kServer), "server");
  EXPECT_EQ(LimitName(LoadLimit::kGenerator), "generator");
}

}  // namespace
}  // namespace muster
