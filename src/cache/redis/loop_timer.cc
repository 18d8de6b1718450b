#include "cache/redis/loop_timer.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/check.h"

namespace muster::redis {

Result<std::unique_ptr<LoopTimer>> LoopTimer::Make(SocketLoop& loop, const Clock& clock) {
  const int descriptor = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (descriptor >= 0) {
    std::unique_ptr<LoopTimer> timer(new LoopTimer(loop, clock, descriptor));
    if (loop.Watch(descriptor, *timer, {.read = true})) return timer;
  }
  return Fail(Reason::kOverloaded, "cannot make a timer; raise the limit of open files (ulimit -n)");
}

LoopTimer::~LoopTimer() {
  MUSTER_CHECK(alarms_.empty());
  loop_.Forget(descriptor_);
  ::close(descriptor_);
}

void LoopTimer::Alarm::Set(Duration after, Work work) {
  Cancel();
  at_ = timer_.Now() + std::max(after, Duration(0));
  number_ = timer_.next_number_++;
  work_ = std::move(work);
  is_set_ = true;
  timer_.alarms_.insert(this);
  if (at_ < timer_.armed_for_) timer_.Arm();
}

void LoopTimer::Alarm::Cancel() {
  if (!is_set_) return;
  timer_.alarms_.erase(this);
  is_set_ = false;
  work_ = nullptr;
}

void LoopTimer::Arm() {
  if (alarms_.empty()) return;
  armed_for_ = (*alarms_.begin())->at_;
  // Zero would disarm it.
  const Duration left = std::max(armed_for_ - Now(), Duration(1));
  itimerspec when{};
  when.it_value.tv_sec = left.count() / kMicrosPerSecond;
  when.it_value.tv_nsec = left.count() % kMicrosPerSecond * 1000;
  MUSTER_CHECK(::timerfd_settime(descriptor_, 0, &when, nullptr) == 0);
}

void LoopTimer::OnReady(Ready) {
  std::uint64_t times = 0;
  if (::read(descriptor_, &times, sizeof times) < 0) return;  // it was set anew meanwhile
  armed_for_ = Instant::max();
  const Instant now = Now();
  // What is set meanwhile waits for the next time.
  const std::uint64_t before = next_number_;
  while (!alarms_.empty()) {
    Alarm* const first = *alarms_.begin();
    if (first->at_ > now || first->number_ >= before) break;
    alarms_.erase(alarms_.begin());
    first->is_set_ = false;
    const auto work = std::make_unique<Work>(std::move(first->work_));  // the alarm may end in it
    (*work)();
  }
  Arm();
}

}  // namespace muster::redis
