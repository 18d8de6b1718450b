#include "bench/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace muster {
namespace {

constexpr std::uint64_t kPerOctave = std::uint64_t{1} << LatencyHistogram::kPrecisionBits;

// Values below kPerOctave have a bucket each; above, the highest kPrecisionBits + 1 bits of a value choose it.
constexpr std::size_t BucketOf(std::uint64_t value) {
  if (value < kPerOctave) return value;
  const int octave = static_cast<int>(std::bit_width(value)) - 1 - LatencyHistogram::kPrecisionBits;
  return kPerOctave * (static_cast<std::size_t>(octave) + 1) + ((value >> octave) - kPerOctave);
}

// The largest value that falls into it.
constexpr std::uint64_t EndOf(std::size_t bucket) {
  if (bucket < kPerOctave) return bucket;
  const std::size_t octave = bucket / kPerOctave - 1;
  return ((bucket % kPerOctave + kPerOctave + 1) << octave) - 1;
}

constexpr std::size_t kBuckets = BucketOf(static_cast<std::uint64_t>(LatencyHistogram::kMax.count())) + 1;
static_assert(EndOf(kBuckets - 1) == static_cast<std::uint64_t>(LatencyHistogram::kMax.count()));

std::uint64_t Clamped(LatencyHistogram::Time value) {
  return static_cast<std::uint64_t>(std::clamp(value, LatencyHistogram::Time{0}, LatencyHistogram::kMax).count());
}

}  // namespace

LatencyHistogram::LatencyHistogram() : buckets_(kBuckets) {}

void LatencyHistogram::Record(Time value, std::uint64_t times) {
  if (times == 0) return;
  const std::uint64_t nanoseconds = Clamped(value);
  const Time kept(static_cast<std::int64_t>(nanoseconds));
  buckets_[BucketOf(nanoseconds)] += times;
  count_ += times;
  sum_ += static_cast<double>(nanoseconds) * static_cast<double>(times);
  min_ = std::min(min_, kept);
  max_ = std::max(max_, kept);
}

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  if (other.count_ == 0) return;
  for (std::size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

void LatencyHistogram::Clear() { *this = LatencyHistogram(); }

LatencyHistogram::Time LatencyHistogram::mean() const {
  return count_ == 0 ? Time{0} : Time(std::llround(sum_ / static_cast<double>(count_)));
}

LatencyHistogram::Time LatencyHistogram::Percentile(double percent) const {
  if (count_ == 0) return Time{0};
  const double wanted = std::ceil(static_cast<double>(count_) * std::clamp(percent, 0.0, 100.0) / 100);
  const auto rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1, count_);
  std::uint64_t passed = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    passed += buckets_[i];
    if (passed >= rank) return std::min(Time(static_cast<std::int64_t>(EndOf(i))), max_);
  }
  return max_;
}

std::uint64_t LatencyHistogram::CountFrom(Time value) const {
  std::uint64_t count = 0;
  for (std::size_t i = BucketOf(Clamped(value)); i < kBuckets; ++i) count += buckets_[i];
  return count;
}

std::vector<LatencyHistogram::Step> LatencyHistogram::Steps() const {
  std::vector<Step> steps;
  std::uint64_t passed = 0;
  for (std::size_t i = 0; i < kBuckets && passed < count_; ++i) {
    if (buckets_[i] == 0) continue;
    passed += buckets_[i];
    steps.push_back({.value = std::min(Time(static_cast<std::int64_t>(EndOf(i))), max_),
                     .share = static_cast<double>(passed) / static_cast<double>(count_)});
  }
  return steps;
}

}  // namespace muster
