#include "base/timer.h"

#include <utility>

#include "base/thread_name.h"

namespace muster {

ThreadTimer::ThreadTimer() : thread_([this] { RunWaiting(); }) { NameThread(thread_, "timer"); }

ThreadTimer::~ThreadTimer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void ThreadTimer::After(Duration delay, Work work) {
  const Instant at = clock_.Monotonic() + delay;
  // Told under the lock: once it is released the work may run, and what it finishes may end this timer.
  std::lock_guard lock(mutex_);
  if (waiting_.emplace(at, std::move(work)) == waiting_.begin()) changed_.notify_one();
}

void ThreadTimer::RunWaiting() {
  std::unique_lock lock(mutex_);
  while (!stopping_ || !waiting_.empty()) {
    if (waiting_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto first = waiting_.begin();
    const Duration left = first->first - clock_.Monotonic();
    if (!stopping_ && left > Duration(0)) {
      changed_.wait_for(lock, left);
      continue;
    }
    Work work = std::move(first->second);
    waiting_.erase(first);
    lock.unlock();
    work();
    lock.lock();
  }
}

}  // namespace muster
