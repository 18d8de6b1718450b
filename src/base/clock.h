#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace muster {

using Duration = std::chrono::microseconds;

// Wall-clock time in microseconds since 1970 (UTC): what is stored and shown.
using Timestamp = std::chrono::time_point<std::chrono::system_clock, Duration>;

inline constexpr std::int64_t kMicrosPerSecond = 1'000'000;

// Monotonic time in microseconds: what deadlines and measurements use. Its origin means nothing.
struct MonotonicTag {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  static constexpr bool is_steady = true;
  using time_point = std::chrono::time_point<MonotonicTag, Duration>;
};
using Instant = MonotonicTag::time_point;

// Where time comes from; injected, so that a simulation can own it. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp Now() const = 0;
  virtual Instant Monotonic() const = 0;
};

// The machine's clocks.
class SystemClock final : public Clock {
 public:
  Timestamp Now() const override;
  Instant Monotonic() const override;
};

// A clock that only moves when it is told to; both of its times move together.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Timestamp start = Timestamp(std::chrono::seconds(1'700'000'000)))
      : now_(start.time_since_epoch()) {}
  Timestamp Now() const override { return Timestamp(now_.load()); }
  Instant Monotonic() const override { return Instant(now_.load()); }
  void Advance(Duration by) { now_.store(now_.load() + by); }

 private:
  std::atomic<Duration> now_;
};

// The moment by which an answer is worth nothing any more. Retries and sub-calls spend the same deadline.
class Deadline {
 public:
  // A deadline that never passes.
  constexpr Deadline() = default;
  constexpr explicit Deadline(Instant at) : at_(at) {}
  static Deadline After(const Clock& clock, Duration timeout) { return Deadline(clock.Monotonic() + timeout); }

  bool Passed(const Clock& clock) const { return at_ != Instant::max() && clock.Monotonic() >= at_; }
  Instant at() const { return at_; }

 private:
  Instant at_ = Instant::max();
};

}  // namespace muster
