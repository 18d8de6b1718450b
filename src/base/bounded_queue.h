#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

namespace muster {

// A queue between threads with a named bound: a push that does not fit is refused at once, never waited for, so that
// overload is answered rather than hidden.
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  // False when the queue is full or closed; `item` is then untouched.
  [[nodiscard]] bool TryPush(T&& item) {
    {
      std::lock_guard lock(mutex_);
      if (closed_ || items_.size() >= capacity_) return false;
      items_.push_back(std::move(item));
    }
    arrived_.notify_one();
    return true;
  }

  // Waits until there is at least one item or the queue is closed, then takes up to `most` in order. An empty answer
  // means closed and drained.
  std::vector<T> PopSome(std::size_t most) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return !items_.empty() || closed_; });
    std::vector<T> taken;
    taken.reserve(std::min(most, items_.size()));
    while (!items_.empty() && taken.size() < most) {
      taken.push_back(std::move(items_.front()));
      items_.pop_front();
    }
    return taken;
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
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<T> items_;
  bool closed_ = false;
};

}  // namespace muster
