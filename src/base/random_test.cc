#include "base/random.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <set>
#include <vector>

namespace muster {
namespace {

// The first outputs of SplitMix64 from seed 1234567, as its authors' reference code (splitmix64.c) gives them.
TEST(SeededRandom, IsSplitMix64) {
  SeededRandom random(1234567);
  for (const std::uint64_t expected : {6457827717110365317ULL, 3203168211198807973ULL, 9817491932198370423ULL,
                                       4593380528125082431ULL, 16408922859458223821ULL}) {
    EXPECT_EQ(random.Next(), expected);
  }
}

TEST(SeededRandom, RepeatsItself) {
  SeededRandom one(7);
  SeededRandom other(7);
  SeededRandom third(8);
  EXPECT_EQ(one.Next(), other.Next());
  EXPECT_NE(one.Next(), third.Next());
}

TEST(SeededRandom, FillsEveryLength) {
  for (std::size_t length = 0; length < 20; ++length) {
    SeededRandom random(3);
    // Guards on both sides stay untouched; over some fills every byte inside changes.
    std::vector<std::uint8_t> bytes(length + 2, 0);
    std::vector<bool> touched(length, false);
    for (int round = 0; round < 64; ++round) {
      random.Fill(std::span(bytes).subspan(1, length));
      for (std::size_t i = 0; i < length; ++i) touched[i] = touched[i] || bytes[i + 1] != 0;
    }
    EXPECT_EQ(bytes.front(), 0);
    EXPECT_EQ(bytes.back(), 0);
    EXPECT_EQ(touched, std::vector<bool>(length, true)) << length;
  }
}

RC_GTEST_PROP(Random, StaysBelowItsBound, (std::uint64_t seed)) {
  const auto bound = *rc::gen::suchThat<std::uint64_t>([](std::uint64_t value) { return value > 0; });
  SeededRandom random(seed);
  RC_ASSERT(random.Below(bound) < bound);
}

TEST(Random, IsUniformEnough) {
  SeededRandom random(1);
  std::array<int, 10> counts{};
  for (int i = 0; i < 100'000; ++i) ++counts[random.Below(10)];
  // Six standard deviations (95 each) around the mean.
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 570);
}

TEST(RandomDeathTest, HasNothingBelowZero) {
  SeededRandom random(1);
  EXPECT_DEATH(random.Below(0), "bound > 0");
}

TEST(SystemRandom, DoesNotRepeat) {
  SystemRandom random;
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1'000; ++i) seen.insert(random.Next());
  EXPECT_EQ(seen.size(), 1'000U);
}

TEST(Mix64, IsABijectionOnWhatWasTried) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t i = 0; i < 10'000; ++i) seen.insert(Mix64(i));
  EXPECT_EQ(seen.size(), 10'000U);
}

}  // namespace
}  // namespace muster
