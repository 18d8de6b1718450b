#include "api/h2_flood_gate.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

constexpr Instant kStart{Duration(0)};

TEST(H2FloodGateTest, AThousandAtOnceAndAHundredASecond) {
  H2FloodGate gate(kStart);
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(gate.Pass(kStart)) << i;
  EXPECT_FALSE(gate.Pass(kStart));
  int passed = 0;
  for (int i = 0; i < 10'000; ++i) passed += gate.Pass(kStart + std::chrono::milliseconds(i)) ? 1 : 0;
  EXPECT_LE(passed, 1000);
  H2FloodGate steady(kStart);
  for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(steady.Pass(kStart + std::chrono::milliseconds(10 * i))) << i;
}

TEST(H2FloodGateTest, WhoWorksMayProbe) {
  H2FloodGate gate(kStart);
  for (int i = 0; i < 100'000; ++i) {
    gate.Earn();
    ASSERT_TRUE(gate.Pass(kStart)) << i;
  }
}

TEST(H2FloodGateTest, NothingIsSavedUpBeyondTheBound) {
  H2FloodGate gate(kStart);
  for (int i = 0; i < 5000; ++i) gate.Earn();
  const Instant later = kStart + std::chrono::hours(1);
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(gate.Pass(later)) << i;
  EXPECT_FALSE(gate.Pass(later));
}

}  // namespace
}  // namespace muster
