#include "api/timer_wheel.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace muster {
namespace {

using std::chrono::milliseconds;

struct TestTimer final : TimerWheel::Timer {
  void OnTimer(Instant now) override {
    fired_at.push_back(now);
    if (then) then();
  }
  std::vector<Instant> fired_at;
  std::function<void()> then;
};

class TimerWheelTest : public ::testing::Test {
 protected:
  const Instant start_{milliseconds(1'234'567)};
  TimerWheel wheel_{start_};
};

TEST_F(TimerWheelTest, FiresOnceWithinATick) {
  TestTimer timer;
  wheel_.Schedule(timer, start_ + milliseconds(250));
  wheel_.Advance(start_ + milliseconds(249));
  EXPECT_TRUE(timer.fired_at.empty());
  wheel_.Advance(start_ + milliseconds(250) + TimerWheel::kTick);
  EXPECT_EQ(timer.fired_at.size(), 1U);
  wheel_.Advance(start_ + std::chrono::hours(1));
  EXPECT_EQ(timer.fired_at.size(), 1U);
}

TEST_F(TimerWheelTest, MovesBothWays) {
  TestTimer later, sooner, cancelled;
  for (TestTimer* timer : {&later, &sooner, &cancelled}) wheel_.Schedule(*timer, start_ + milliseconds(1000));
  wheel_.Schedule(later, start_ + milliseconds(5000));
  wheel_.Schedule(sooner, start_ + milliseconds(300));
  wheel_.Cancel(cancelled);
  wheel_.Cancel(cancelled);
  wheel_.Advance(start_ + milliseconds(400));
  EXPECT_EQ(sooner.fired_at.size(), 1U);
  wheel_.Advance(start_ + milliseconds(4999));
  EXPECT_TRUE(later.fired_at.empty());
  wheel_.Advance(start_ + milliseconds(5100));
  EXPECT_EQ(later.fired_at.size(), 1U);
  EXPECT_TRUE(cancelled.fired_at.empty());
}

TEST_F(TimerWheelTest, DeadlinesBeyondOneTurnWaitForTheirOwn) {
  TestTimer timer;
  const Duration turn = TimerWheel::kTick * TimerWheel::kSlots;
  wheel_.Schedule(timer, start_ + 3 * turn + milliseconds(50));
  for (int i = 1; i <= 3; ++i) {
    wheel_.Advance(start_ + i * turn);
    EXPECT_TRUE(timer.fired_at.empty()) << i;
  }
  wheel_.Advance(start_ + 3 * turn + milliseconds(50) + TimerWheel::kTick);
  EXPECT_EQ(timer.fired_at.size(), 1U);
}

TEST_F(TimerWheelTest, ALongPauseFiresEverythingDue) {
  std::vector<std::unique_ptr<TestTimer>> timers;
  for (int i = 0; i < 2000; ++i) {
    timers.push_back(std::make_unique<TestTimer>());
    wheel_.Schedule(*timers.back(), start_ + milliseconds(i * 37));
  }
  wheel_.Advance(start_ + std::chrono::hours(1));
  for (const auto& timer : timers) EXPECT_EQ(timer->fired_at.size(), 1U);
}

TEST_F(TimerWheelTest, ATimerMayScheduleCancelAndDestroy) {
  TestTimer again, victim;
  auto gone = std::make_unique<TestTimer>();
  again.then = [&] {
    wheel_.Cancel(victim);
    wheel_.Cancel(*gone);
    gone.reset();
    wheel_.Schedule(again, start_ + milliseconds(2000));
    again.then = nullptr;
  };
  wheel_.Schedule(again, start_ + milliseconds(500));
  wheel_.Schedule(victim, start_ + milliseconds(500));
  wheel_.Schedule(*gone, start_ + milliseconds(500));
  wheel_.Advance(start_ + milliseconds(700));
  EXPECT_EQ(again.fired_at.size(), 1U);
  EXPECT_TRUE(victim.fired_at.empty());
  wheel_.Advance(start_ + milliseconds(2200));
  EXPECT_EQ(again.fired_at.size(), 2U);
}

TEST_F(TimerWheelTest, ATimerThatIsAlreadyDueFiresAtTheNextTick) {
  TestTimer timer;
  wheel_.Schedule(timer, start_ - milliseconds(10'000));
  wheel_.Advance(start_ + TimerWheel::kTick);
  EXPECT_EQ(timer.fired_at.size(), 1U);
}

// Against a list of deadlines that is searched through.
RC_GTEST_PROP(TimerWheelProperty, FiresNeitherEarlyNorMoreThanATickLate, ()) {
  Instant now{milliseconds(99'999)};
  TimerWheel wheel(now);
  std::vector<TestTimer> timers(8);
  std::map<std::size_t, Instant> due;
  const auto steps = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, 12), rc::gen::inRange(0, 200'000)));
  for (const auto& [action, amount] : steps) {
    const auto index = static_cast<std::size_t>(amount) % timers.size();
    if (action < 6) {
      due[index] = now + milliseconds(amount);
      wheel.Schedule(timers[index], due[index]);
    } else if (action < 8) {
      due.erase(index);
      wheel.Cancel(timers[index]);
    } else {
      now += milliseconds(amount / (action == 8 ? 1 : 100));
      wheel.Advance(now);
      for (std::size_t i = 0; i < timers.size(); ++i) {
        if (!timers[i].fired_at.empty()) {
          RC_ASSERT(due.contains(i) && due[i] <= now && timers[i].fired_at.size() == 1U);
          due.erase(i);
          timers[i].fired_at.clear();
        } else if (due.contains(i)) {
          RC_ASSERT(due[i] + TimerWheel::kTick > now);
        }
      }
    }
  }
  for (TestTimer& timer : timers) wheel.Cancel(timer);
}

}  // namespace
}  // namespace muster
