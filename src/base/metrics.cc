#include "base/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace muster {
namespace {

// The rules of https://prometheus.io/docs/practices/naming and of `promtool check metrics`.
constexpr std::array kReservedSuffixes = {"_bucket", "_sum", "_count", "_info"};
constexpr std::array kOtherUnits = {"_milliseconds", "_microseconds", "_nanoseconds", "_minutes", "_hours",
                                    "_days",         "_ms",           "_us",          "_ns",      "_kb",
                                    "_kib",          "_mb",           "_mib",         "_percent"};

bool IsSnakeCase(std::string_view name) {
  if (name.empty() || name.front() < 'a' || name.front() > 'z' || name.back() == '_' || name.contains("__"))
    return false;
  return std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

bool EndsWithUnit(std::string_view name, std::string_view unit) {
  return name.ends_with(unit) || name.ends_with(std::string(unit) + "_total");
}

// Aborts: a wrong name is a mistake in a declaration, found by the first test that makes the module.
void CheckName(std::string_view name, prometheus::MetricType type) {
  MUSTER_CHECK(IsSnakeCase(name) && name.starts_with("muster_"));
  MUSTER_CHECK(std::ranges::none_of(kReservedSuffixes, [&](auto suffix) { return name.ends_with(suffix); }));
  MUSTER_CHECK(std::ranges::none_of(kOtherUnits, [&](auto unit) { return EndsWithUnit(name, unit); }));
  MUSTER_CHECK(name.ends_with("_total") == (type == prometheus::MetricType::Counter));
  MUSTER_CHECK(name.ends_with("_seconds") || type != prometheus::MetricType::Histogram);
}

std::string_view TypeName(prometheus::MetricType type) {
  switch (type) {
    case prometheus::MetricType::Counter:
      return "counter";
    case prometheus::MetricType::Gauge:
      return "gauge";
    case prometheus::MetricType::Histogram:
      return "histogram";
    default:
      MUSTER_UNREACHABLE("a type of metric that is never registered");
  }
}

prometheus::ClientMetric::Histogram ReadHistogram(const Histogram& histogram) {
  const Histogram::Snapshot snapshot = histogram.Read();
  prometheus::ClientMetric::Histogram out;
  for (std::size_t i = 0; i < snapshot.counts.size(); ++i) {
    out.sample_count += snapshot.counts[i];
    // The serializer adds the bucket of +Inf, which is the count.
    if (i == Histogram::kBoundsMicros.size()) continue;
    const double bound = static_cast<double>(Histogram::kBoundsMicros[i]) / static_cast<double>(kMicrosPerSecond);
    out.bucket.push_back({.cumulative_count = out.sample_count, .upper_bound = bound});
  }
  out.sample_sum = static_cast<double>(snapshot.sum_micros) / static_cast<double>(kMicrosPerSecond);
  return out;
}

}  // namespace

thread_local constinit std::size_t metrics_internal::stripe = kMetricStripes;

std::size_t metrics_internal::PickStripe() {
  static std::atomic<std::size_t> threads{0};
  stripe = threads.fetch_add(1, std::memory_order_relaxed) % kMetricStripes;
  return stripe;
}

std::uint64_t Counter::Value() const {
  std::uint64_t sum = 0;
  for (const Stripe& stripe : stripes_) sum += stripe.value.load(std::memory_order_relaxed);
  return sum;
}

void Histogram::Record(Duration duration) {
  const std::int64_t micros = std::max<std::int64_t>(duration.count(), 0);
  const auto bucket = static_cast<std::size_t>(std::ranges::lower_bound(kBoundsMicros, micros) - kBoundsMicros.begin());
  Stripe& stripe = stripes_[MetricStripe()];
  stripe.counts[bucket].fetch_add(1, std::memory_order_relaxed);
  stripe.sum_micros.fetch_add(static_cast<std::uint64_t>(micros), std::memory_order_relaxed);
}

Histogram::Snapshot Histogram::Read() const {
  Snapshot snapshot;
  for (const Stripe& stripe : stripes_) {
    for (std::size_t i = 0; i < snapshot.counts.size(); ++i) {
      snapshot.counts[i] += stripe.counts[i].load(std::memory_order_relaxed);
    }
    snapshot.sum_micros += stripe.sum_micros.load(std::memory_order_relaxed);
  }
  return snapshot;
}

struct MetricRegistry::State {
  // One of the three is set.
  struct Metric {
    std::unique_ptr<Counter> counter;
    std::unique_ptr<Histogram> histogram;
    std::function<double()> read;
  };
  struct Family {
    prometheus::MetricType type;
    std::string help;
    std::map<MetricLabels, Metric> metrics;
  };

  mutable std::mutex mutex;
  std::map<std::string, Family, std::less<>> families;

  // Of ExposeShared; held while it is made, so that nobody makes a second one beside it.
  std::mutex shared_mutex;
  std::shared_ptr<const std::string> shared;  // guarded by shared_mutex
  Instant shared_made;                        // guarded by shared_mutex

  Metric& FindOrAddLocked(std::string_view name, std::string_view help, prometheus::MetricType type,
                          MetricLabels labels);
  void AddRead(prometheus::MetricType type, std::string_view name, std::string_view help, std::function<double()> read,
               MetricLabels labels);
};

MetricRegistry::State::Metric& MetricRegistry::State::FindOrAddLocked(std::string_view name, std::string_view help,
                                                                      prometheus::MetricType type,
                                                                      MetricLabels labels) {
  CheckName(name, type);
  MUSTER_CHECK(!help.empty());
  for (const auto& [label, value] : labels) MUSTER_CHECK(IsSnakeCase(label) && label != "le" && label != "quantile");

  auto found = families.find(name);
  if (found == families.end()) {
    found = families.emplace(std::string(name), Family{type, std::string(help), {}}).first;
  }
  Family& family = found->second;
  MUSTER_CHECK(family.type == type && family.help == help);
  if (!family.metrics.empty()) {
    MUSTER_CHECK(std::ranges::equal(family.metrics.begin()->first, labels, {}, &MetricLabels::value_type::first,
                                    &MetricLabels::value_type::first));
  }
  return family.metrics[std::move(labels)];
}

void MetricRegistry::State::AddRead(prometheus::MetricType type, std::string_view name, std::string_view help,
                                    std::function<double()> read, MetricLabels labels) {
  MUSTER_CHECK(read);
  std::lock_guard lock(mutex);
  Metric& metric = FindOrAddLocked(name, help, type, std::move(labels));
  MUSTER_CHECK(!metric.read && !metric.counter);
  metric.read = std::move(read);
}

MetricRegistry::MetricRegistry() : state_(std::make_unique<State>()) {}
MetricRegistry::~MetricRegistry() = default;

Counter& MetricRegistry::AddCounter(std::string_view name, std::string_view help, MetricLabels labels) {
  std::lock_guard lock(state_->mutex);
  auto& metric = state_->FindOrAddLocked(name, help, prometheus::MetricType::Counter, std::move(labels));
  MUSTER_CHECK(!metric.read);
  if (!metric.counter) metric.counter = std::make_unique<Counter>();
  return *metric.counter;
}

Histogram& MetricRegistry::AddHistogram(std::string_view name, std::string_view help, MetricLabels labels) {
  std::lock_guard lock(state_->mutex);
  auto& metric = state_->FindOrAddLocked(name, help, prometheus::MetricType::Histogram, std::move(labels));
  if (!metric.histogram) metric.histogram = std::make_unique<Histogram>();
  return *metric.histogram;
}

void MetricRegistry::AddGauge(std::string_view name, std::string_view help, std::function<double()> read,
                              MetricLabels labels) {
  state_->AddRead(prometheus::MetricType::Gauge, name, help, std::move(read), std::move(labels));
}

void MetricRegistry::AddReadCounter(std::string_view name, std::string_view help, std::function<double()> read,
                                    MetricLabels labels) {
  state_->AddRead(prometheus::MetricType::Counter, name, help, std::move(read), std::move(labels));
}

std::string MetricRegistry::Expose() const {
  std::vector<prometheus::MetricFamily> families;
  {
    std::lock_guard lock(state_->mutex);
    for (const auto& [name, family] : state_->families) {
      auto& out = families.emplace_back();
      out.name = name;
      out.help = family.help;
      out.type = family.type;
      const bool is_gauge = family.type == prometheus::MetricType::Gauge;
      for (const auto& [labels, metric] : family.metrics) {
        auto& sample = out.metric.emplace_back();
        for (const auto& [label, value] : labels) sample.label.push_back({label, value});
        if (metric.counter) sample.counter.value = static_cast<double>(metric.counter->Value());
        if (metric.histogram) sample.histogram = ReadHistogram(*metric.histogram);
        if (metric.read) (is_gauge ? sample.gauge.value : sample.counter.value) = metric.read();
      }
    }
  }
  return prometheus::TextSerializer().Serialize(families);
}

std::shared_ptr<const std::string> MetricRegistry::ExposeShared(Instant now, Duration age_max) const {
  std::lock_guard lock(state_->shared_mutex);
  if (state_->shared == nullptr || now - state_->shared_made >= age_max) {
    state_->shared = std::make_shared<const std::string>(Expose());
    state_->shared_made = now;
  }
  return state_->shared;
}

std::vector<MetricRegistry::Description> MetricRegistry::Describe() const {
  std::vector<Description> descriptions;
  std::lock_guard lock(state_->mutex);
  for (const auto& [name, family] : state_->families) {
    Description& description = descriptions.emplace_back();
    description.name = name;
    description.type = TypeName(family.type);
    description.help = family.help;
    for (const auto& [label, value] : family.metrics.begin()->first) description.label_names.push_back(label);
  }
  return descriptions;
}

}  // namespace muster
