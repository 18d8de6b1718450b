#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace muster {

// A queue between threads with a named bound: a push that does not fit is refused at once, never waited for, so that
// overload is answered rather than hidden.
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  // False when the queue is full or closed; `item` is then untouched.
  [[nodiscard]] bool TryPush(T&& item) {
    bool wake;
    {
      std::lock_guard lock(mutex_);
      if (closed_ || items_.size() >= capacity_) return false;
      items_.push_back(std::move(item));
      wake = items_.size() >= wanted_;
    }
    if (wake) arrived_.notify_one();
    return true;
  }

  // Waits until there is at least one item or the queue is closed, then takes up to `most` in order. An empty answer
  // means closed and drained.
  std::vector<T> PopSome(std::size_t most) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return !items_.empty() || closed_; });
    return TakeLocked(most);
  }

  // As PopSome, but once something is there waits up to `patience` more for `enough` of it: a group commit that would
  // otherwise begin with the first of many. It sleeps through the arrivals before `enough`; only one thread may call
  // it, and none may call PopSome beside it.
  std::vector<T> PopGroup(std::size_t most, std::size_t enough, Duration patience) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return !items_.empty() || closed_; });
    if (items_.size() < enough && !closed_) {
      wanted_ = enough;
      arrived_.wait_for(lock, patience, [this, enough] { return items_.size() >= enough || closed_; });
      wanted_ = 1;
    }
    return TakeLocked(most);
  }

  // Further pushes are refused; what is queued is still handed out.
  void Close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    arrived_.notify_all();
  }

  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return items_.size();
  }

 private:
  std::vector<T> TakeLocked(std::size_t most) {
    std::vector<T> taken;
    taken.reserve(std::min(most, items_.size()));
    while (!items_.empty() && taken.size() < most) {
      taken.push_back(std::move(items_.front()));
      items_.pop_front();
    }
    // The signal for what is left may have gone to this consumer while it waited for more.
    if (!items_.empty()) arrived_.notify_one();
    return taken;
  }

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<T> items_;
  std::size_t wanted_ = 1;  // below it, nobody needs to be woken
  bool closed_ = false;
};

}  // namespace muster
