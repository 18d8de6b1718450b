#include "base/bounded_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>

namespace muster {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

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
}

TEST(BoundedQueue, CloseWakesEveryWaiter) {
  BoundedQueue<int> queue(10);
  auto one = std::async(std::launch::async, [&] { return queue.PopSome(1); });
  auto other = std::async(std::launch::async, [&] { return queue.PopSome(1); });
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
      consumers.emplace_back([&] {
        while (true) {
          const auto items = queue.PopSome(16);
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
