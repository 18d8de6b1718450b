#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace muster {

// How many copies of a counter there are, so that threads do not share a cache line. A thread picks one for life.
inline constexpr std::size_t kMetricStripes = 8;

namespace metrics_internal {
// kMetricStripes until the thread has picked. Constant initialisation spares every use a check and a call.
extern thread_local constinit std::size_t stripe;
std::size_t PickStripe();
}  // namespace metrics_internal

inline std::size_t MetricStripe() {
  if (metrics_internal::stripe == kMetricStripes) [[unlikely]]
    return metrics_internal::PickStripe();
  return metrics_internal::stripe;
}

// Counts up. Add costs one uncontended atomic add.
class Counter {
 public:
  void Add(std::uint64_t amount = 1) { stripes_[MetricStripe()].value.fetch_add(amount, std::memory_order_relaxed); }
  std::uint64_t Value() const;

 private:
  struct alignas(64) Stripe {
    std::atomic<std::uint64_t> value{0};
  };
  std::array<Stripe, kMetricStripes> stripes_;
};

// Durations in fixed buckets from 10 µs to 10 s, in steps of 1, 2, 5; exposed in seconds. A duration on a bound belongs
// to the bucket below it, a negative one counts as zero. Record costs a search of the bounds and two uncontended atomic
// adds.
class Histogram {
 public:
  static constexpr std::array<std::int64_t, 19> kBoundsMicros = {
      10,     20,     50,      100,     200,     500,       1'000,     2'000,     5'000,     10'000,
      20'000, 50'000, 100'000, 200'000, 500'000, 1'000'000, 2'000'000, 5'000'000, 10'000'000};

  void Record(Duration duration);

  struct Snapshot {
    std::array<std::uint64_t, kBoundsMicros.size() + 1> counts{};  // the last: above every bound
    std::uint64_t sum_micros = 0;
  };
  Snapshot Read() const;

 private:
  struct alignas(64) Stripe {
    std::array<std::atomic<std::uint64_t>, kBoundsMicros.size() + 1> counts{};
    std::atomic<std::uint64_t> sum_micros{0};
  };
  std::array<Stripe, kMetricStripes> stripes_;
};

using MetricLabels = std::map<std::string, std::string>;

// All metrics of a process. Names follow Prometheus conventions: muster_<module>_<what>_<unit>[_total], base units; a
// counter ends in _total, a histogram in _seconds. Registering the same name and labels again returns the same object;
// a name has one help text, one type and one set of label names. Breaking any of this aborts: it is a wrong
// declaration. Thread-safe; objects live as long as the registry.
class MetricRegistry {
 public:
  MetricRegistry();
  ~MetricRegistry();
  MetricRegistry(const MetricRegistry&) = delete;

  Counter& AddCounter(std::string_view name, std::string_view help, MetricLabels labels = {});
  Histogram& AddHistogram(std::string_view name, std::string_view help, MetricLabels labels = {});
  // `read` is called at each exposition, from the thread that exposes, and must neither block nor use the registry;
  // what it reads must outlive the last exposition. A gauge is registered once.
  void AddGauge(std::string_view name, std::string_view help, std::function<double()> read, MetricLabels labels = {});
  // A counter that is kept elsewhere; `read` as above, and what it answers never falls.
  void AddReadCounter(std::string_view name, std::string_view help, std::function<double()> read,
                      MetricLabels labels = {});

  // Prometheus text format 0.0.4.
  std::string Expose() const;
  // The same for readers who may be many: one text for all of them, made again once it is `age_max` old at `now`.
  std::shared_ptr<const std::string> ExposeShared(Instant now, Duration age_max) const;

  struct Description {
    std::string name;
    std::string type;
    std::string help;
    std::vector<std::string> label_names;
  };
  // Sorted by name; the reference page is generated from it.
  std::vector<Description> Describe() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace muster
