#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>

#include "base/result.h"
#include "domain/ports/change_feed.h"

namespace muster {

// Who wants to be told that there may be more to read of a ChangeFeed. Outlives its subscriptions. Thread-safe.
class ChangeWakes {
 public:
  void Notify();
  std::unique_ptr<ChangeFeed::Subscription> Subscribe(std::move_only_function<void()> wake);
  bool any() const { return count_.load() > 0; }

 private:
  class Registration;
  using Wakes = std::list<std::move_only_function<void()>>;

  std::atomic<std::size_t> count_{0};
  std::mutex mutex_;
  Wakes wakes_;
};

// What a feed says of a position from before what it keeps.
std::unexpected<Error> FailExpired(std::int64_t after);

}  // namespace muster
