#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace muster {

// Deadlines of many connections at the cost of a store each: moving a deadline further away, which every request does,
// touches nothing but the timer itself. Coarse: a timer fires up to one tick late, never early. One thread.
//
// A hashed wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987); a timer lies in the slot of a
// tick at or before its deadline, and is put further when that tick comes too early.
class TimerWheel {
 public:
  static constexpr Duration kTick = std::chrono::milliseconds(100);
  static constexpr std::size_t kSlots = 512;  // one turn of the wheel: 51 s

 private:
  struct Link {
    Link* previous = nullptr;
    Link* next = nullptr;
  };

 public:
  class Timer : private Link {
   public:
    virtual void OnTimer(Instant now) = 0;

   protected:
    Timer() = default;
    Timer(const Timer&) = delete;
    ~Timer();

   private:
    friend TimerWheel;
    Instant due_;
    std::int64_t tick_ = 0;  // of the slot it lies in
  };

  explicit TimerWheel(Instant now);
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;

  // Sets or moves the timer's deadline.
  void Schedule(Timer& timer, Instant due) {
    timer.due_ = due;
    if (timer.next == nullptr || due < Instant(kTick * timer.tick_)) Place(timer);
  }
  void Cancel(Timer& timer);

  // Fires what is due. A timer that fires is no longer scheduled; it may schedule and cancel any timer, and destroy
  // itself.
  void Advance(Instant now);

 private:
  static void Unlink(Link& link);
  static void Append(Link& list, Link& link);
  void Place(Timer& timer);

  std::int64_t tick_;  // all slots up to and with this tick were visited
  std::array<Link, kSlots> slots_;
};

}  // namespace muster
