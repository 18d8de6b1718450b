#include "store/answer_shares.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

constexpr AnswerOwner kGreedy{1};
constexpr AnswerOwner kOther{2};
constexpr AnswerOwner kThird{3};

std::int64_t TakeAll(AnswerShares& shares, AnswerOwner owner) {
  std::int64_t taken = 0;
  while (shares.Take(owner)) ++taken;
  return taken;
}

TEST(AnswerSharesTest, WhoIsGreedyLeavesRoomForEverybodyElse) {
  AnswerShares shares({.answers_max = 1000});
  EXPECT_EQ(TakeAll(shares, kGreedy), 500);
  EXPECT_EQ(shares.Take(kGreedy).error().reason, Reason::kRateLimited);
  EXPECT_GT(shares.Take(kGreedy).error().retry_after_ms, 0);
  EXPECT_EQ(TakeAll(shares, kOther), 250);
  EXPECT_EQ(TakeAll(shares, kThird), 125);
  EXPECT_EQ(shares.kept(), 875);
}

TEST(AnswerSharesTest, NobodyKeepsMoreThanAll) {
  AnswerShares shares({.answers_max = 3});
  for (std::uint32_t caller = 10; caller < 13; ++caller) EXPECT_TRUE(shares.Take(AnswerOwner(caller)));
  EXPECT_EQ(shares.Take(AnswerOwner(13)).error().reason, Reason::kOverloaded);
  EXPECT_EQ(shares.kept(), 3);
}

TEST(AnswerSharesTest, WhatIsForgottenIsFreeAgain) {
  AnswerShares shares({.answers_max = 10});
  EXPECT_EQ(TakeAll(shares, kGreedy), 5);
  shares.Return(kGreedy, 2);
  EXPECT_EQ(TakeAll(shares, kGreedy), 2);
  shares.Return(kGreedy, 100);  // more than it has
  EXPECT_EQ(shares.kept(), 0);
  shares.Return(kOther);  // who has none
  EXPECT_EQ(shares.kept(), 0);
}

TEST(AnswerSharesTest, CountsAreThoseOfTheDatabase) {
  AnswerShares shares({.answers_max = 10});
  ASSERT_TRUE(shares.Take(kThird));
  shares.Set({{kGreedy, 6}, {kOther, 1}});
  EXPECT_EQ(shares.kept(), 7);
  EXPECT_EQ(shares.Take(kGreedy).error().reason, Reason::kRateLimited);
  EXPECT_EQ(TakeAll(shares, kOther), 1);
}

}  // namespace
}  // namespace muster
