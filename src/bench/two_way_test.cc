#include "bench/two_way.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

using Outcome = TwoWay::Outcome;

TEST(TwoWayTest, OnlyWhatIsDoneIsUndone) {
  TwoWay things(2);
  const TwoWay::Step first = *things.Next(true);
  EXPECT_EQ(first.thing, 0U);
  EXPECT_FALSE(first.undoes) << "nothing is done yet";
  const TwoWay::Step second = *things.Next(false);
  EXPECT_EQ(second.thing, 1U);
  EXPECT_FALSE(things.Next(false)) << "both are under way";
  EXPECT_FALSE(things.Next(true));
  things.Settle(second, Outcome::kDone);
  const TwoWay::Step undo = *things.Next(false);
  EXPECT_EQ(undo.thing, 1U);
  EXPECT_TRUE(undo.undoes) << "nothing else is there";
  things.Settle(undo, Outcome::kDone);
  EXPECT_FALSE(things.Next(true)->undoes);
}

TEST(TwoWayTest, WhatIsRefusedStaysAsItWasButNotForEver) {
  TwoWay things(1);
  for (int i = 0; i < TwoWay::kRefusalsMax; ++i) {
    const auto step = things.Next(false);
    ASSERT_TRUE(step) << i;
    EXPECT_FALSE(step->undoes);
    things.Settle(*step, Outcome::kRefused);
  }
  EXPECT_FALSE(things.Next(false));
}

TEST(TwoWayTest, ASuccessForgivesRefusals) {
  TwoWay things(1);
  for (int i = 0; i < 10; ++i) {
    things.Settle(*things.Next(false), Outcome::kRefused);
    things.Settle(*things.Next(false), Outcome::kDone);
    const TwoWay::Step undo = *things.Next(true);
    ASSERT_TRUE(undo.undoes);
    things.Settle(undo, Outcome::kRefused);
    const TwoWay::Step again = *things.Next(true);
    ASSERT_TRUE(again.undoes) << "it is done still";
    things.Settle(again, Outcome::kDone);
  }
}

TEST(TwoWayTest, WhatIsNotKnownIsLeftAlone) {
  TwoWay things(1);
  things.Settle(*things.Next(false), Outcome::kUnknown);
  EXPECT_FALSE(things.Next(false));
  EXPECT_FALSE(TwoWay(0).Next(false));
}

}  // namespace
}  // namespace muster
