#include "base/timer.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <vector>

namespace muster {
namespace {

using std::chrono::milliseconds;

TEST(ThreadTimer, RunsWorkInTheOrderOfItsTimes) {
  const SystemClock clock;
  ThreadTimer timer;
  const Instant begin = clock.Monotonic();
  std::vector<int> order;  // touched by the timer's thread until the promise is kept
  std::promise<Instant> last;
  timer.After(milliseconds(20), [&] {
    order.push_back(3);
    last.set_value(clock.Monotonic());
  });
  timer.After(milliseconds(10), [&] { order.push_back(2); });
  timer.After(Duration(0), [&] { order.push_back(1); });
  EXPECT_GE(last.get_future().get() - begin, milliseconds(20));
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

TEST(ThreadTimer, WorkMayAskForMore) {
  ThreadTimer timer;
  std::promise<void> second;
  timer.After(Duration(0), [&] { timer.After(milliseconds(1), [&] { second.set_value(); }); });
  second.get_future().get();
}

TEST(ThreadTimer, RunsWhatStillWaitsWhenItEnds) {
  int ran = 0;
  {
    ThreadTimer timer;
    timer.After(std::chrono::hours(1), [&] {
      ++ran;
      timer.After(std::chrono::hours(1), [&] { ++ran; });
    });
  }
  EXPECT_EQ(ran, 2);
}

TEST(ManualTimer, MovesItsClock) {
  ManualClock clock;
  ManualTimer timer(clock);
  const Timestamp begin = clock.Now();
  bool ran = false;
  timer.After(milliseconds(5), [&] { ran = true; });
  EXPECT_TRUE(ran);
  EXPECT_EQ(clock.Now() - begin, milliseconds(5));
}

}  // namespace
}  // namespace muster
