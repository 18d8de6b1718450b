#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "base/clock.h"

namespace muster {

// Runs work after a while; injected, so that a simulation can own it. For pauses of protocols that run on no loop of
// their own (a loop has its timer wheel). Thread-safe.
class Timer {
 public:
  using Work = std::move_only_function<void()>;

  virtual ~Timer() = default;
  // Runs `work` once, on any thread, not before `delay` has passed.
  virtual void After(Duration delay, Work work) = 0;
};

// A thread that waits for all. The work runs on it and should be short. What still waits when it is destroyed runs
// then. Destroy it before what its work uses, which is in use until the work returns.
class ThreadTimer final : public Timer {
 public:
  ThreadTimer();
  ~ThreadTimer() override;
  ThreadTimer(const ThreadTimer&) = delete;
  ThreadTimer& operator=(const ThreadTimer&) = delete;

  void After(Duration delay, Work work) override;

 private:
  void RunWaiting();

  const SystemClock clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<Instant, Work> waiting_;
  bool stopping_ = false;
  std::thread thread_;
};

// Does not wait: moves its clock on instead.
class ManualTimer final : public Timer {
 public:
  explicit ManualTimer(ManualClock& clock) : clock_(clock) {}
  void After(Duration delay, Work work) override {
    clock_.Advance(delay);
    work();
  }

 private:
  ManualClock& clock_;
};

}  // namespace muster
