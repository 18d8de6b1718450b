#include "search/search_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

namespace muster {
namespace {

using ::testing::ElementsAre;

// Searches are told apart by their limits.
class SearchQueueTest : public ::testing::Test {
 protected:
  // The limit of what found no place; 0: nothing.
  std::size_t Push(std::string caller, std::size_t limit, Deadline deadline = {}) {
    const auto refused =
        queue_.Push({.query = {.limit = limit, .caller = std::move(caller), .deadline = deadline}, .reply = {}});
    return refused ? refused->query.limit : 0;
  }
  // All that wait, in the order of their turns.
  std::vector<std::size_t> Drain() {
    queue_.Close();
    std::vector<std::size_t> limits;
    while (const auto search = queue_.Pop()) limits.push_back(search->query.limit);
    return limits;
  }
  Deadline In(int milliseconds) { return Deadline::After(clock_, std::chrono::milliseconds(milliseconds)); }

  ManualClock clock_;
  SearchQueue queue_{6, clock_};
};

TEST_F(SearchQueueTest, CallersTakeTurns) {
  for (const std::size_t limit : {1, 2, 3}) EXPECT_EQ(Push("a", limit), 0u);
  for (const std::size_t limit : {11, 12}) EXPECT_EQ(Push("b", limit), 0u);
  EXPECT_EQ(queue_.Pop()->query.limit, 1u);
  EXPECT_EQ(Push("c", 21), 0u);
  EXPECT_THAT(Drain(), ElementsAre(11, 2, 21, 12, 3));
}

TEST_F(SearchQueueTest, WhoHasTheMostWaitingMakesRoom) {
  for (const std::size_t limit : {1, 2, 3, 4, 5, 6}) EXPECT_EQ(Push("a", limit), 0u);
  EXPECT_EQ(Push("a", 7), 7u);
  EXPECT_EQ(Push("b", 11), 6u);
  EXPECT_EQ(Push("b", 12), 5u);
  EXPECT_EQ(Push("c", 21), 4u);
  // Now a has three, b two and c one.
  EXPECT_EQ(Push("b", 13), 13u);
  EXPECT_EQ(Push("c", 22), 3u);
  EXPECT_EQ(Push("c", 23), 23u);
  EXPECT_THAT(Drain(), ElementsAre(1, 11, 21, 2, 12, 22));
}

TEST_F(SearchQueueTest, WithoutRoomForOneOfEachTheLaterCallerIsRefused) {
  for (const char* caller : {"a", "b", "c", "d", "e", "f"}) EXPECT_EQ(Push(caller, 1), 0u);
  EXPECT_EQ(Push("g", 2), 2u);
}

TEST_F(SearchQueueTest, NoneWaitsPastItsDeadline) {
  Push("a", 1);
  Push("a", 2, In(20));
  Push("b", 3, In(10));
  auto late = std::async(std::launch::async, [this] { return queue_.PopLate()->query.limit; });
  clock_.Advance(std::chrono::milliseconds(15));
  EXPECT_EQ(late.get(), 3u);
  // One that arrives and comes before all others wakes whoever waits for them.
  auto other = std::async(std::launch::async, [this] { return queue_.PopLate()->query.limit; });
  Push("c", 4, In(0));
  EXPECT_EQ(other.get(), 4u);
  clock_.Advance(std::chrono::milliseconds(5));
  EXPECT_EQ(queue_.PopLate()->query.limit, 2u);
  EXPECT_THAT(Drain(), ElementsAre(1));
}

TEST_F(SearchQueueTest, ClosedTakesNothingAndHandsOutTheRest) {
  Push("a", 1, In(10));
  auto late = std::async(std::launch::async, [this] { return queue_.PopLate().has_value(); });
  queue_.Close();
  EXPECT_FALSE(late.get());
  EXPECT_EQ(Push("a", 2), 2u);
  EXPECT_THAT(Drain(), ElementsAre(1));
}

TEST_F(SearchQueueTest, AThreadGetsWhatArrives) {
  auto next = std::async(std::launch::async, [this] { return queue_.Pop()->query.limit; });
  Push("a", 1);
  EXPECT_EQ(next.get(), 1u);
}

}  // namespace
}  // namespace muster
