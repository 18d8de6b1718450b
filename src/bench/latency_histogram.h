#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace muster {

// How many values of a time fell where, in log-linear buckets: every power of two is divided into 256 equal ones, so
// that a percentile is at most 1/256 (0.4 %) above the true value and never below it, from a nanosecond to 73 minutes.
// 70 KiB, whatever it holds. The scheme of Gil Tene's HdrHistogram (hdrhistogram.org). Not thread-safe.
class LatencyHistogram {
 public:
  using Time = std::chrono::nanoseconds;

  static constexpr int kPrecisionBits = 8;
  static constexpr Time kMax{(std::int64_t{1} << 42) - 1};

  LatencyHistogram();

  // Counts `value` `times` times. A negative value counts as zero, one above kMax as kMax.
  void Record(Time value, std::uint64_t times = 1);
  void Merge(const LatencyHistogram& other);
  void Clear();

  std::uint64_t count() const { return count_; }
  // Exact; zero when nothing was recorded. The mean of the recorded values, not of their buckets.
  Time min() const { return count_ == 0 ? Time{0} : min_; }
  Time max() const { return max_; }
  Time mean() const;

  // The smallest value that `percent` of the values (0 to 100) do not exceed, rounded up to the end of its bucket but
  // never above max(). Zero when nothing was recorded.
  Time Percentile(double percent) const;

  // How many values are at least `value`, up to one bucket's width.
  std::uint64_t CountFrom(Time value) const;

  // Each bucket that holds something, in order: its upper end and the share of all values up to there (0 to 1].
  struct Step {
    Time value{};
    double share = 0;
  };
  std::vector<Step> Steps() const;

 private:
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
  Time min_ = kMax;
  Time max_{0};
};

inline double Milliseconds(LatencyHistogram::Time time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

}  // namespace muster
