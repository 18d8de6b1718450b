#include "bench/population_sampler.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace muster {
namespace {

struct Sampled {
  Population population;
  std::size_t pages = 0;
};

// Reads as a server with these ids, in order, would answer.
Sampled Sample(const std::vector<std::int64_t>& ids, std::size_t wanted) {
  PopulationSampler sampler({.wanted = wanted, .with_identities = true});
  std::size_t pages = 0;
  while (const auto page = sampler.Next()) {
    ++pages;
    std::string lines;
    auto next = std::ranges::upper_bound(ids, page->after);
    for (int i = 0; i < page->limit && next != ids.end(); ++i, ++next) {
      const std::string id = std::to_string(*next);
      lines += R"({"id":")" + id + R"(","identities":[{"kind":"card","platform":"p","value":")" + id + "\"}]}\n";
    }
    EXPECT_TRUE(sampler.Take(lines));
  }
  return {.population = sampler.Finish(), .pages = pages};
}

std::vector<std::int64_t> Range(std::int64_t first, std::int64_t count, std::int64_t step = 1) {
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < count; ++i) ids.push_back(first + i * step);
  return ids;
}

TEST(PopulationSamplerTest, TakesAllOfASmallDirectory) {
  const auto sampled = Sample(Range(1, 777, 3), 1000);
  EXPECT_FALSE(sampled.population.is_sample);
  EXPECT_EQ(sampled.population.members.size(), 777U);
  EXPECT_EQ(sampled.population.identities.size(), 777U);
}

TEST(PopulationSamplerTest, NobodyIsNobody) {
  const auto sampled = Sample({}, 1000);
  EXPECT_EQ(sampled.population.members.size(), 0U);
  EXPECT_EQ(sampled.pages, 1U);
}

TEST(PopulationSamplerTest, ASampleOfALargeOneCoversItEvenly) {
  const auto sampled = Sample(Range(1000, 200'000, 7), 2000);
  EXPECT_TRUE(sampled.population.is_sample);
  EXPECT_GE(sampled.population.members.size(), 1000U);
  EXPECT_LE(sampled.population.members.size(), 2000U);
  EXPECT_LE(sampled.pages * 31, 2000U * 10);
  int low = 0;
  for (const MemberId id : sampled.population.members) low += id.value() < 1000 + 700'000 ? 1 : 0;
  EXPECT_NEAR(low / static_cast<double>(sampled.population.members.size()), 0.5, 0.1);
}

TEST(PopulationSamplerTest, OldNumbersAndTimeOrderedOnesAreBothThere) {
  auto ids = Range(1, 20'000);
  const auto recent = Range(std::int64_t{1} << 60, 20'000, std::int64_t{1} << 20);
  ids.insert(ids.end(), recent.begin(), recent.end());
  const auto sampled = Sample(ids, 1000);
  const auto members = static_cast<double>(sampled.population.members.size());
  const auto old = static_cast<double>(
      std::ranges::count_if(sampled.population.members, [](MemberId id) { return id.value() <= 20'000; }));
  EXPECT_GT(old / members, 0.3);
  EXPECT_LT(old / members, 0.7);
}

TEST(PopulationSamplerTest, AServerThatRepeatsItselfEndsIt) {
  PopulationSampler sampler({.wanted = 100});
  ASSERT_TRUE(sampler.Take("{\"id\":\"5\"}\n"));
  ASSERT_TRUE(sampler.Take("{\"id\":\"5\"}\n"));
  EXPECT_FALSE(sampler.Next());
  EXPECT_EQ(sampler.Finish().members.size(), 1U);
}

RC_GTEST_PROP(PopulationSamplerPropertyTest, EndsWithDistinctMembersThatExist, ()) {
  auto ids = *rc::gen::container<std::vector<std::int64_t>>(rc::gen::positive<std::int64_t>());
  std::ranges::sort(ids);
  ids.erase(std::ranges::unique(ids).begin(), ids.end());
  const auto wanted = *rc::gen::inRange<std::size_t>(1, 200);
  auto members = Sample(ids, wanted).population.members;
  RC_ASSERT(members.size() <= wanted);
  RC_ASSERT(ids.empty() == members.empty());
  std::ranges::sort(members);
  RC_ASSERT(std::ranges::adjacent_find(members) == members.end());
  for (const MemberId id : members) RC_ASSERT(std::ranges::binary_search(ids, id.value()));
}

}  // namespace
}  // namespace muster
