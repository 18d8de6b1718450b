#include "api/timer_wheel.h"

#include <algorithm>

#include "base/check.h"

namespace muster {

TimerWheel::Timer::~Timer() { MUSTER_CHECK(next == nullptr); }

TimerWheel::TimerWheel(Instant now) : tick_(now.time_since_epoch() / kTick) {
  for (Link& slot : slots_) slot = {.previous = &slot, .next = &slot};
}

TimerWheel::~TimerWheel() {
  for (const Link& slot : slots_) MUSTER_CHECK(slot.next == &slot);
}

void TimerWheel::Unlink(Link& link) {
  link.previous->next = link.next;
  link.next->previous = link.previous;
  link.previous = link.next = nullptr;
}

void TimerWheel::Append(Link& list, Link& link) {
  link.previous = list.previous;
  link.next = &list;
  list.previous->next = &link;
  list.previous = &link;
}

void TimerWheel::Place(Timer& timer) {
  if (timer.next != nullptr) Unlink(timer);
  const Duration due = timer.due_.time_since_epoch();
  // The first tick at or after the deadline, at least the next one, at most one turn ahead.
  const std::int64_t wanted = due / kTick + (due % kTick > Duration::zero() ? 1 : 0);
  timer.tick_ = std::clamp(wanted, tick_ + 1, tick_ + static_cast<std::int64_t>(kSlots));
  Append(slots_[static_cast<std::size_t>(timer.tick_) % kSlots], timer);
}

void TimerWheel::Cancel(Timer& timer) {
  if (timer.next != nullptr) Unlink(timer);
}

void TimerWheel::Advance(Instant now) {
  const std::int64_t last = now.time_since_epoch() / kTick;
  // After a long pause one turn visits every slot.
  tick_ = std::max(tick_, last - static_cast<std::int64_t>(kSlots));
  while (tick_ < last) {
    ++tick_;
    Link& slot = slots_[static_cast<std::size_t>(tick_) % kSlots];
    if (slot.next == &slot) continue;
    Link due{.previous = slot.previous, .next = slot.next};
    due.previous->next = due.next->previous = &due;
    slot = {.previous = &slot, .next = &slot};
    while (due.next != &due) {
      Timer& timer = static_cast<Timer&>(*due.next);
      Unlink(timer);
      if (timer.due_ <= now) {
        timer.OnTimer(now);
      } else {
        Place(timer);
      }
    }
  }
}

}  // namespace muster
