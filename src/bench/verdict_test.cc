#include "bench/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

Measurement Measured(Histogram::Time own_lag, Histogram::Time delay, double busiest, std::uint64_t unsent = 0) {
  Measurement measurement;
  measurement.own_lag.Record(own_lag, 100);
  measurement.delay.Record(delay, 100);
  measurement.busiest = busiest;
  measurement.unsent = unsent;
  return measurement;
}

TEST(VerdictTest, ARateThatWasKeptHasNoLimit) {
  const Verdict verdict = Judge(Measured(microseconds(50), microseconds(80), 0.97), true);
  EXPECT_EQ(verdict.limit, Limit::kNone);
  EXPECT_EQ(verdict.reason, "");
}

TEST(VerdictTest, OwnLagIsTheGenerators) {
  const Verdict verdict = Judge(Measured(milliseconds(3), milliseconds(3), 0.2), true);
  EXPECT_EQ(verdict.limit, Limit::kGenerator);
  EXPECT_THAT(verdict.reason, HasSubstr("3.0 ms"));
}

TEST(VerdictTest, BehindTheRateItIsTheServerUnlessTheGeneratorHadNoTime) {
  EXPECT_EQ(Judge(Measured(microseconds(10), milliseconds(500), 0.3), true).limit, Limit::kServer);
  EXPECT_EQ(Judge(Measured(microseconds(10), milliseconds(1), 0.3, 7), true).limit, Limit::kServer);
  EXPECT_EQ(Judge(Measured(microseconds(10), milliseconds(500), 0.95), true).limit, Limit::kGenerator);
}

TEST(VerdictTest, WithoutARateSomebodyIsTheLimit) {
  EXPECT_EQ(Judge(Measured({}, {}, 0.6), false).limit, Limit::kServer);
  const Verdict verdict = Judge(Measured({}, {}, 0.98), false);
  EXPECT_EQ(verdict.limit, Limit::kGenerator);
  EXPECT_THAT(verdict.reason, HasSubstr("98 %"));
}

TEST(VerdictTest, ASecondIsJudgedByItsOwnLag) {
  Window window;
  window.busiest = 0.95;
  window.own_lag.Record(microseconds(20), 100);
  EXPECT_FALSE(IsGeneratorLimited(window, true));
  EXPECT_TRUE(IsGeneratorLimited(window, false));
  window.own_lag.Record(milliseconds(2), 100);
  EXPECT_TRUE(IsGeneratorLimited(window, true));
}

TEST(VerdictTest, Names) {
  EXPECT_EQ(LimitName(Limit::kNone), "none");
  EXPECT_EQ(LimitName(Limit::kServer), "server");
  EXPECT_EQ(LimitName(Limit::kGenerator), "generator");
}

}  // namespace
}  // namespace muster
