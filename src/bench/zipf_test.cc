#include "bench/zipf.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <vector>

namespace muster {
namespace {

constexpr int kDraws = 200'000;

std::vector<double> Theory(std::uint64_t size, double exponent) {
  std::vector<double> probabilities(size);
  double sum = 0;
  for (std::uint64_t k = 0; k < size; ++k) sum += probabilities[k] = std::pow(static_cast<double>(k + 1), -exponent);
  for (double& probability : probabilities) probability /= sum;
  return probabilities;
}

struct Shape {
  std::uint64_t size;
  double exponent;
};

class ZipfTest : public ::testing::TestWithParam<Shape> {};

// Pearson's test; cells are joined until each expects twenty draws. The seed is fixed, so the outcome is, too.
TEST_P(ZipfTest, DrawsAsTheLawSays) {
  const auto& [size, exponent] = GetParam();
  const Zipf zipf(size, exponent);
  SeededRandom random(7);
  std::vector<double> drawn(size);
  for (int i = 0; i < kDraws; ++i) {
    const std::uint64_t rank = zipf.Draw(random);
    ASSERT_LT(rank, size);
    drawn[rank] += 1;
  }
  const auto theory = Theory(size, exponent);
  double chi_square = 0;
  double expected = 0;
  double seen = 0;
  int cells = 0;
  for (std::uint64_t k = 0; k < size; ++k) {
    expected += theory[k] * kDraws;
    seen += drawn[k];
    if (expected < 20 && k + 1 < size) continue;
    chi_square += (seen - expected) * (seen - expected) / std::max(expected, 1e-9);
    ++cells;
    expected = seen = 0;
  }
  // Mean and deviation of the statistic; four deviations are one in thirty thousand.
  const double freedom = cells - 1;
  EXPECT_LE(chi_square, freedom + 4 * std::sqrt(2 * freedom) + 1e-9) << "of " << cells << " cells";
}

INSTANTIATE_TEST_SUITE_P(Shapes, ZipfTest,
                         ::testing::Values(Shape{1, 0.99}, Shape{2, 0.99}, Shape{10, 0}, Shape{10, 0.5},
                                           Shape{100, 0.99}, Shape{1000, 1}, Shape{1000, 1.2}, Shape{5000, 2},
                                           Shape{5000, 0.2}, Shape{100'000, 0.99}, Shape{20, 10}));

TEST(ZipfHeadTest, TheFirstOfAMillionIsAsHotAsItShouldBe) {
  const Zipf zipf(1'000'000, 0.99);
  SeededRandom random(11);
  int first = 0;
  for (int i = 0; i < kDraws; ++i) first += zipf.Draw(random) == 0 ? 1 : 0;
  // 1 / sum of k^-0.99 over a million is 0.0651.
  EXPECT_NEAR(static_cast<double>(first) / kDraws, 0.0651, 0.002);
}

RC_GTEST_PROP(ZipfPropertyTest, EveryRankIsInRange, ()) {
  const auto size = *rc::gen::inRange<std::uint64_t>(1, 1'000'000'000);
  const double exponent = *rc::gen::inRange(0, 1001) / 100.0;
  SeededRandom random(*rc::gen::arbitrary<std::uint64_t>());
  const Zipf zipf(size, exponent);
  for (int i = 0; i < 100; ++i) RC_ASSERT(zipf.Draw(random) < size);
}

}  // namespace
}  // namespace muster
