#include "api/change_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/testing/fake_feed.h"
#include "api/testing/test_exchange.h"

namespace muster {
namespace {

using testing::FakeFeed;
using testing::TestLoop;

// The hub's thread is the test.
class ChangeHubTest : public ::testing::Test {
 protected:
  Result<std::int64_t> Resolve(ChangeFrom from) {
    std::optional<Result<std::int64_t>> start;
    hub_.Resolve(from, [&](Result<std::int64_t> found) { start = std::move(found); });
    while (!start) hub_.Step();
    return *start;
  }
  Result<std::int64_t> Resolve(std::int64_t position) {
    return Resolve({.kind = ChangeFrom::Kind::kAfter, .position = position});
  }
  Result<ChangeHub::Page> ReadPage(std::int64_t after) {
    std::optional<Result<ChangeHub::Page>> page;
    hub_.ReadPage(after, [&](Result<ChangeHub::Page> read) { page = std::move(read); });
    while (!page) hub_.Step();
    return *page;
  }
  void StepToEnd() {
    while (hub_.Step()) {
    }
  }

  FakeFeed feed_;
  MetricRegistry metrics_;
  ChangeHub hub_{feed_, {.streams_max = 2}, NullLogger(), metrics_};
};

TEST_F(ChangeHubTest, FindsWhereToBegin) {
  feed_.Commit(30);
  feed_.Expire(10);
  EXPECT_EQ(*Resolve({.kind = ChangeFrom::Kind::kLatest}), 30);
  EXPECT_EQ(*Resolve({.kind = ChangeFrom::Kind::kEarliest}), 10);
  EXPECT_EQ(*Resolve(10), 10);
  EXPECT_EQ(*Resolve(30), 30);
  EXPECT_EQ(Resolve(9).error().reason, Reason::kPositionExpired);
  const auto beyond = Resolve(31);
  ASSERT_FALSE(beyond) << "it is of other data";
  EXPECT_EQ(beyond.error().violations[0].field, "from");
  feed_.Commit(1);
  EXPECT_EQ(*Resolve({.kind = ChangeFrom::Kind::kLatest}), 31) << "whatever was committed before is known";
}

TEST_F(ChangeHubTest, TheRingHasTheNewestAndPagesTheRest) {
  const auto place = *hub_.TakePlace("a");
  constexpr auto kMore = static_cast<std::int64_t>(ChangeHub::kRingEvents) + 1000;
  feed_.Commit(10);
  StepToEnd();
  feed_.Commit(kMore - 10);
  StepToEnd();
  std::array<ChangeEvent, 100> batch;
  EXPECT_TRUE(hub_.Take(kMore - static_cast<std::int64_t>(ChangeHub::kRingEvents) - 1, batch).is_behind);
  const auto first = hub_.Take(kMore - 4096, batch);
  ASSERT_FALSE(first.is_behind);
  ASSERT_EQ(first.count, 100U);
  EXPECT_EQ(batch[0].position, kMore - 4095);
  EXPECT_EQ(batch[99].position, kMore - 3996);
  EXPECT_EQ(hub_.Take(kMore - 3, batch).count, 3U);
  EXPECT_EQ(hub_.Take(kMore, batch).count, 0U);

  const auto page = ReadPage(5);
  ASSERT_TRUE(page);
  EXPECT_EQ((*page)->events.size(), ChangeHub::kPageEvents);
  EXPECT_EQ((*page)->events[0].position, 6);
  feed_.Expire(100);
  EXPECT_EQ(ReadPage(5).error().reason, Reason::kPositionExpired);
}

TEST_F(ChangeHubTest, WhatWasForgottenWhileNobodyWatchedIsNotMissed) {
  feed_.Commit(10);
  EXPECT_EQ(*Resolve({.kind = ChangeFrom::Kind::kLatest}), 10);
  feed_.Commit(20);
  feed_.Expire(25);
  EXPECT_EQ(*Resolve({.kind = ChangeFrom::Kind::kLatest}), 30);
  std::array<ChangeEvent, 100> batch;
  EXPECT_EQ(hub_.Take(25, batch).count, 5U);
  EXPECT_TRUE(hub_.Take(24, batch).is_behind);
}

TEST_F(ChangeHubTest, ReadsNothingWhileThereAreNoStreams) {
  feed_.Commit(10);
  StepToEnd();
  EXPECT_EQ(feed_.reads(), 0);
  const auto place = *hub_.TakePlace("a");
  StepToEnd();
  EXPECT_GT(feed_.reads(), 0);
}

TEST_F(ChangeHubTest, ReadsTheEndOnceForAllAndTellsTheirLoops) {
  TestLoop loop;
  int woken = 0;
  ChangeHub::Listener one(hub_, loop, [&] { ++woken; });
  ChangeHub::Listener two(hub_, loop, [&] { ++woken; });
  ChangeHub::Listener without_streams(hub_, loop, [&] { ADD_FAILURE() << "it has none any more"; });
  one.Listen(true);
  two.Listen(true);
  without_streams.Listen(true);
  without_streams.Listen(false);
  const auto place = *hub_.TakePlace("a");
  feed_.Commit(10);
  hub_.Step();
  hub_.Step();
  EXPECT_EQ(feed_.reads(), 2);
  loop.RunUntil([&] { return woken == 2; });
}

TEST_F(ChangeHubTest, RestsLongerForMoreStreamsButNotForLong) {
  EXPECT_EQ(ChangeHub::RestTime(0), Duration(0));
  EXPECT_EQ(ChangeHub::RestTime(1), std::chrono::microseconds(400));
  EXPECT_EQ(ChangeHub::RestTime(50), std::chrono::milliseconds(20));
  EXPECT_EQ(ChangeHub::RestTime(100'000), std::chrono::milliseconds(20));
}

TEST_F(ChangeHubTest, PagesAreReadWhileItRests) {
  feed_.Commit(10);
  const auto place = *hub_.TakePlace("a");
  std::optional<Result<ChangeHub::Page>> page;
  hub_.ReadPage(0, [&](Result<ChangeHub::Page> read) { page = std::move(read); });
  EXPECT_FALSE(hub_.Step(false));
  EXPECT_EQ((*page)->get()->events.size(), 10U);
  EXPECT_EQ(feed_.reads(), 1) << "the end is left alone";
}

TEST_F(ChangeHubTest, ThereAreNoMoreStreamsThanThereMayBe) {
  std::optional<ChangeHub::Place> one = *hub_.TakePlace("a");
  const auto two = *hub_.TakePlace("b");
  const auto refused = hub_.TakePlace("c");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kOverloaded);
  EXPECT_TRUE(refused.error().retry_after_ms);
  one.reset();
  EXPECT_TRUE(hub_.TakePlace("c"));
}

TEST_F(ChangeHubTest, OneCallerHasHalfOfThemAtMost) {
  for (const std::int64_t most : {1, 2, 3, 10}) {
    MetricRegistry metrics;
    ChangeHub hub(feed_, {.streams_max = most}, NullLogger(), metrics);
    const auto take = [&hub](const std::string& caller, std::int64_t count) {
      std::vector<ChangeHub::Place> taken;
      for (std::int64_t i = 0; i < count; ++i) {
        if (auto place = hub.TakePlace(caller)) taken.push_back(*std::move(place));
      }
      return taken;
    };
    auto greedy = take("greedy", most);
    EXPECT_EQ(std::ssize(greedy), (most + 1) / 2) << most;
    const auto refused = hub.TakePlace("greedy");
    EXPECT_EQ(refused.error().reason, Reason::kOverloaded);
    EXPECT_THAT(refused.error().message, ::testing::StartsWith("the caller greedy has as many streams"));
    const auto others = take("other", most);
    EXPECT_EQ(std::ssize(others), most / 2) << most;
    greedy.pop_back();
    EXPECT_EQ(take("greedy", 2).size(), 1U) << "what it gave back it may take again";
  }
}

TEST_F(ChangeHubTest, AFailureOfTheStoreIsToldAndPasses) {
  const auto place = *hub_.TakePlace("a");
  feed_.Commit(3);
  feed_.Break(Error{.reason = Reason::kInternal, .message = "broken"});
  StepToEnd();
  EXPECT_EQ(Resolve(ChangeFrom{}).error().reason, Reason::kInternal);
  EXPECT_EQ(ReadPage(0).error().reason, Reason::kInternal);
  feed_.Break(std::nullopt);
  EXPECT_EQ(*Resolve(ChangeFrom{}), 3);
}

TEST_F(ChangeHubTest, WhoAsksAfterTheEndIsRefused) {
  hub_.Start();
  int refused = 0;
  hub_.Stop();
  hub_.Resolve({}, [&](Result<std::int64_t> start) { refused += start ? 0 : 1; });
  hub_.ReadPage(0, [&](Result<ChangeHub::Page> page) { refused += page ? 0 : 1; });
  EXPECT_EQ(refused, 2);
}

}  // namespace
}  // namespace muster
