#include "bench/call_maker.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace muster {
namespace {

Population People(int count) {
  Population population;
  for (int i = 1; i <= count; ++i) {
    population.members.emplace_back(i);
    population.identities.Add("phone", "", "+86138" + std::to_string(i));
  }
  return population;
}

CallMaker::Options With(const char* mix, double zipf_exponent = 0) {
  return {.mix = ParseLoadMix(mix).value(), .zipf_exponent = zipf_exponent, .batch = 10, .seed = 5};
}

TEST(CallMakerTest, TheMixIsKept) {
  const Population population = People(100);
  CallMaker maker(With("get=80,resolve=15,update=5"), population);
  std::map<LoadVerb, int> drawn;
  for (int i = 0; i < 20'000; ++i) {
    const LoadCall call = maker.Make();
    ++drawn[call.verb];
    if (call.verb == LoadVerb::kResolve) {
      EXPECT_EQ(call.identity.kind, "phone");
      EXPECT_TRUE(call.identity.value.Reveal().starts_with("+86138"));
    } else {
      ASSERT_EQ(call.ids.size(), 1U);
    }
    EXPECT_EQ(call.city.empty(), call.verb != LoadVerb::kUpdate);
  }
  EXPECT_NEAR(drawn[LoadVerb::kGet], 16'000, 300);
  EXPECT_NEAR(drawn[LoadVerb::kResolve], 3'000, 250);
  EXPECT_NEAR(drawn[LoadVerb::kUpdate], 1'000, 150);
  EXPECT_EQ(drawn.size(), 3U);
}

TEST(CallMakerTest, UniformKeysAreEvenAndZipfKeysAreNot) {
  const Population population = People(100);
  CallMaker uniform(With("get=1"), population);
  CallMaker skewed(With("get=1", 0.99), population);
  std::map<std::int64_t, int> even;
  std::map<std::int64_t, int> hot;
  for (int i = 0; i < 10'000; ++i) {
    ++even[uniform.Make().ids[0].value()];
    ++hot[skewed.Make().ids[0].value()];
  }
  EXPECT_LT(even[1], 150);
  EXPECT_GT(hot[1], 1500);
}

TEST(CallMakerTest, BatchesAndRegistrations) {
  const Population population = People(3);
  CallMaker maker(With("batchGet=1,register=1"), population);
  std::set<std::string> accounts;
  int registrations = 0;
  for (int i = 0; i < 1'000; ++i) {
    const LoadCall call = maker.Make();
    if (call.verb == LoadVerb::kBatchGet) {
      EXPECT_EQ(call.ids.size(), 10U);
    } else {
      ++registrations;
      accounts.insert(std::string(call.account));
    }
  }
  EXPECT_EQ(accounts.size(), static_cast<std::size_t>(registrations));
}

TEST(CallMakerTest, ASeedRepeatsItself) {
  const Population population = People(50);
  CallMaker one(With("get=1,resolve=1", 0.99), population);
  CallMaker other(With("get=1,resolve=1", 0.99), population);
  for (int i = 0; i < 1'000; ++i) {
    const LoadCall a = one.Make();
    const LoadCall b = other.Make();
    ASSERT_EQ(a.verb, b.verb);
    ASSERT_TRUE(a.ids.empty() || a.ids[0] == b.ids[0]);
    ASSERT_EQ(a.identity.value, b.identity.value);
  }
}

}  // namespace
}  // namespace muster
