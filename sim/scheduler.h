#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "base/check.h"
#include "base/clock.h"

namespace muster::sim {

// Simulated time, and what happens in it: an event at a time, the earliest first, those of one moment in the order they
// were scheduled. All of the simulation runs in its events, in one thread, so the same seed gives the same run.
class Scheduler {
 public:
  using Work = std::move_only_function<void()>;

  Duration now() const { return now_; }

  void After(Duration delay, Work work) {
    MUSTER_CHECK(delay >= Duration(0));
    events_.push({now_ + delay, ++scheduled_, std::move(work)});
  }

  // Runs the next event. False: there is none.
  bool RunNext() {
    if (events_.empty()) return false;
    // The queue hands out const references only; what is moved out is popped at once.
    Event event = std::move(const_cast<Event&>(events_.top()));
    events_.pop();
    now_ = event.at;
    event.work();
    return true;
  }

 private:
  struct Event {
    Duration at;
    std::uint64_t number;
    Work work;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const { return a.at != b.at ? a.at > b.at : a.number > b.number; }
  };

  Duration now_{0};
  std::uint64_t scheduled_ = 0;
  std::priority_queue<Event, std::vector<Event>, Later> events_;
};

// A machine's clock: simulated time with a constant error.
class SimulatedClock final : public Clock {
 public:
  SimulatedClock(const Scheduler& scheduler, Duration error) : scheduler_(scheduler), error_(error) {}
  Timestamp Now() const override { return kStart + scheduler_.now() + error_; }
  Instant Monotonic() const override { return Instant(scheduler_.now()); }

 private:
  static constexpr Timestamp kStart = Timestamp(std::chrono::seconds(1'700'000'000));
  const Scheduler& scheduler_;
  const Duration error_;
};

}  // namespace muster::sim
