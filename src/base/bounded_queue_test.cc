#include "base/bounded_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>

namespace muster {
namespace {

using std::chrono::hours;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto kDeadline = std::chrono::seconds(60);

TEST(BoundedQueue, RefusesWhatDoesNotFitAndLeavesIt) {
  BoundedQueue<std::unique_ptr<int>> queue(1);
  EXPECT_TRUE(queue.TryPush(std::make_unique<int>(1)));
  auto second = std::make_unique<int>(2);
  EXPECT_FALSE(queue.TryPush(std::move(second)));
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(*second, 2);
  EXPECT_EQ(queue.size(), 1U);
  EXPECT_EQ(queue.PopSome(1).size(), 1U);
  EXPECT_TRUE(queue.TryPush(std::move(second)));
}

TEST(BoundedQueue, WithoutCapacityRefusesEverything) {
  BoundedQueue<int> queue(0);
  EXPECT_FALSE(queue.TryPush(1));
}

TEST(BoundedQueue, HandsOutInOrderUpToTheMostAsked) {
  BoundedQueue<int> queue(10);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(queue.TryPush(int{i}));
  EXPECT_THAT(queue.PopSome(2), ElementsAre(0, 1));
  EXPECT_THAT(queue.PopSome(10), ElementsAre(2, 3, 4));
}

TEST(BoundedQueue, ClosedRefusesPushesButDrains) {
  BoundedQueue<int> queue(10);
  ASSERT_TRUE(queue.TryPush(1));
  queue.Close();
  EXPECT_FALSE(queue.TryPush(2));
  EXPECT_THAT(queue.PopSome(10), ElementsAre(1));
  EXPECT_THAT(queue.PopSome(10), IsEmpty());
  EXPECT_THAT(queue.PopGroup(10, 5, hours(1)), IsEmpty());
}

TEST(BoundedQueue, CloseWakesEveryWaiter) {
  BoundedQueue<int> queue(10);
  auto one = std::async(std::launch::async, [&] { return queue.PopSome(1); });
  auto other = std::async(std::launch::async, [&] { return queue.PopGroup(1, 1, hours(1)); });
  queue.Close();
  EXPECT_THAT(one.get(), IsEmpty());
  EXPECT_THAT(other.get(), IsEmpty());
}

TEST(BoundedQueue, AWaiterGetsWhatArrives) {
  BoundedQueue<int> queue(10);
  auto waiter = std::async(std::launch::async, [&] { return queue.PopSome(10); });
  ASSERT_TRUE(queue.TryPush(7));
  EXPECT_THAT(waiter.get(), ElementsAre(7));
}

TEST(BoundedQueue, AGroupWaitsForEnough) {
  BoundedQueue<int> queue(10);
  auto waiter = std::async(std::launch::async, [&] { return queue.PopGroup(10, 3, hours(1)); });
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(queue.TryPush(int{i}));
  EXPECT_THAT(waiter.get(), ElementsAre(0, 1, 2));
}

TEST(BoundedQueue, AGroupTakesWhatThereIsOncePatienceEnds) {
  BoundedQueue<int> queue(10);
  ASSERT_TRUE(queue.TryPush(1));
  EXPECT_THAT(queue.PopGroup(10, 5, Duration(0)), ElementsAre(1));
  ASSERT_TRUE(queue.TryPush(2));
  EXPECT_THAT(queue.PopGroup(10, 5, std::chrono::milliseconds(1)), ElementsAre(2));
}

TEST(BoundedQueue, AWaitingGroupEndsWhenTheQueueCloses) {
  BoundedQueue<int> queue(10);
  ASSERT_TRUE(queue.TryPush(1));
  auto waiter = std::async(std::launch::async, [&] { return queue.PopGroup(10, 5, hours(1)); });
  queue.Close();
  EXPECT_THAT(waiter.get(), ElementsAre(1));
}

TEST(BoundedQueue, AGroupThatIsCompleteDoesNotWait) {
  BoundedQueue<int> queue(10);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(queue.TryPush(int{i}));
  EXPECT_THAT(queue.PopGroup(2, 3, hours(1)), ElementsAre(0, 1));
}

// One consumer waits for a group while the other waits for anything: what the first leaves must not be forgotten.
TEST(BoundedQueue, WhatAGroupLeavesGoesToTheNextWaiter) {
  BoundedQueue<int> queue(10);
  auto group = std::async(std::launch::async, [&] { return queue.PopGroup(1, 2, hours(1)); });
  auto rest = std::async(std::launch::async, [&] { return queue.PopGroup(1, 1, hours(1)); });
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(queue.TryPush(int{i}));
  // Whoever takes one item leaves the other; `rest` may have taken the first, then `group` lacks one.
  ASSERT_EQ(rest.wait_for(kDeadline), std::future_status::ready);
  EXPECT_EQ(rest.get().size(), 1U);
  queue.Close();
  EXPECT_EQ(group.get().size(), 1U);
}

TEST(BoundedQueue, NothingIsLostOrDoubledBetweenThreads) {
  constexpr int kProducers = 4;
  constexpr int kEach = 5'000;
  BoundedQueue<int> queue(64);
  std::vector<std::jthread> producers;
  for (int p = 0; p < kProducers; ++p) {
    producers.emplace_back([&queue, p] {
      for (int i = 0; i < kEach; ++i) {
        while (!queue.TryPush(p * kEach + i)) std::this_thread::yield();
      }
    });
  }
  std::vector<std::atomic<int>> seen(kProducers * kEach);
  std::atomic<std::size_t> largest{0};
  {
    std::vector<std::jthread> consumers;
    for (int c = 0; c < 2; ++c) {
      consumers.emplace_back([&, c] {
        while (true) {
          const auto items = c == 0 ? queue.PopSome(16) : queue.PopGroup(16, 8, Duration(50));
          if (items.empty()) return;
          if (items.size() > largest) largest = items.size();
          for (const int item : items) ++seen[static_cast<std::size_t>(item)];
        }
      });
    }
    producers.clear();
    queue.Close();
  }
  for (const auto& count : seen) ASSERT_EQ(count, 1);
  EXPECT_LE(largest, 16U);
}

}  // namespace
}  // namespace muster
