#pragma once

#include <atomic>
#include <cstdint>

namespace muster {

// Counts on one thread, read by any: a plain add for the loop that owns the route, never a locked instruction.
class RouteCounter {
 public:
  void Add() { value_.store(value_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }
  std::uint64_t Value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace muster
