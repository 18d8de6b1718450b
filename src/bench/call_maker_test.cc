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

TEST(CallMakerTest, RegistrationsNeedNobody) {
  const Population nobody;
  CallMaker maker(With("register=1"), nobody);
  EXPECT_EQ(maker.DrawVerb(), LoadVerb::kRegister);
  EXPECT_NE(std::string(maker.Make().account), std::string(maker.Make().account));
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

// Answers a call.
void Answer(CallMaker& maker, const LoadCall& call, bool is_success = true) {
  maker.Settle(call.verb, call.thing, {.is_success = is_success, .code = "", .at = {}});
}

TEST(CallMakerTest, UnbindTakesBackWhatBindHasPut) {
  const Population population = People(20);
  CallMaker::Options options = With("bind=1,unbind=1");
  options.part = 1;
  options.parts = 2;
  CallMaker maker(options, population);
  std::map<std::string, std::int64_t> bound;
  int unbinds = 0;
  for (int i = 0; i < 1'000; ++i) {
    const LoadCall call = maker.Make();
    ASSERT_EQ(call.ids.size(), 1U);
    const std::string account(call.account);
    if (call.verb == LoadVerb::kBind) {
      EXPECT_TRUE(bound.emplace(account, call.ids[0].value()).second);
      EXPECT_EQ(call.ids[0].value() % 2, 0) << "the others are another thread's";
    } else {
      ASSERT_EQ(call.verb, LoadVerb::kUnbind);
      EXPECT_EQ(bound.at(account), call.ids[0].value());
      bound.erase(account);
      ++unbinds;
    }
    EXPECT_LE(bound.size(), 10U);
    Answer(maker, call);
  }
  EXPECT_NEAR(unbinds, 500, 10);
}

TEST(CallMakerTest, MergedPairsAreNobodyElses) {
  const Population population = People(20);
  std::set<std::int64_t> pairs;
  for (const std::size_t part : {0, 1}) {
    CallMaker::Options options = With("get=1,update=1,bind=1,merge=2,unmerge=2");
    options.part = part;
    options.parts = 2;
    CallMaker maker(options, population);
    std::map<std::int64_t, std::int64_t> merged;  // source to survivor
    std::set<std::int64_t> others;
    for (int i = 0; i < 1'000; ++i) {
      const LoadCall call = maker.Make();
      if (call.verb == LoadVerb::kMerge) {
        EXPECT_TRUE(merged.emplace(call.ids[1].value(), call.ids[0].value()).second);
        pairs.insert(call.ids[0].value() * 100 + static_cast<std::int64_t>(part));
      } else if (call.verb == LoadVerb::kUnmerge) {
        EXPECT_EQ(merged.at(call.ids[1].value()), call.ids[0].value());
        merged.erase(call.ids[1].value());
      } else {
        others.insert(call.ids[0].value());
      }
      Answer(maker, call);
    }
    EXPECT_EQ(others.size(), 12U);
    EXPECT_EQ(*others.rbegin(), 12) << "pairs are at the end";
  }
  EXPECT_EQ(pairs.size(), 4U) << "two of each thread, and none of both";
}

TEST(CallMakerTest, WhoseAnswerIsNotKnownIsLeftAlone) {
  const Population population = People(4);
  CallMaker maker(With("merge=1"), population);
  const LoadCall merge = maker.Make();
  EXPECT_EQ(merge.verb, LoadVerb::kMerge);
  EXPECT_EQ(maker.Make().verb, LoadVerb::kGet) << "the only pair is under way";
  maker.Settle(merge.verb, merge.thing, {.kind = LoadAnswer::Kind::kTimedOut, .code = "timeout", .at = {}});
  EXPECT_EQ(maker.Make().verb, LoadVerb::kGet);
}

TEST(CallMakerTest, SearchesAndBatchesOfIdentities) {
  Population population = People(10);
  population.AddCity("Wuxi");
  CallMaker maker(With("search=1,batchResolve=1"), population);
  for (int i = 0; i < 100; ++i) {
    const LoadCall call = maker.Make();
    if (call.verb == LoadVerb::kSearch) {
      EXPECT_EQ(call.city, "Wuxi");
    } else {
      EXPECT_EQ(call.identities.size(), 10U);
    }
  }
  Population long_ones = People(1);
  long_ones.identities = {};
  ASSERT_TRUE(long_ones.identities.Add("email", "", std::string(3'000, 'x')));
  CallMaker few(With("batchResolve=1"), long_ones);
  EXPECT_EQ(few.Make().identities.size(), 4U) << "as many as fit";
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
