#include "bench/measurement.h"

#include <algorithm>

namespace muster {

void FailureCounts::Add(std::string_view name, std::uint64_t times) {
  auto found = names_.find(name);
  if (found == names_.end()) {
    found = names_.try_emplace(names_.size() < kNamesMax ? std::string(name) : "other").first;
  }
  found->second += times;
}

void FailureCounts::Merge(const FailureCounts& other) {
  for (const auto& [name, times] : other.names_) Add(name, times);
}

void Measurement::Merge(const Measurement& other) {
  for (std::size_t i = 0; i < kVerbCount; ++i) {
    verbs[i].succeeded += other.verbs[i].succeeded;
    verbs[i].failed += other.verbs[i].failed;
    verbs[i].latency.Merge(other.verbs[i].latency);
    verbs[i].service.Merge(other.verbs[i].service);
  }
  failures.Merge(other.failures);
  sent += other.sent;
  unsent += other.unsent;
  unanswered += other.unanswered;
  answered.Merge(other.answered);
  delay.Merge(other.delay);
  own_lag.Merge(other.own_lag);
  usage.running += other.usage.running;
  usage.waiting += other.usage.waiting;
  busiest = std::max(busiest, other.busiest);
}

std::uint64_t Measurement::succeeded() const {
  std::uint64_t sum = 0;
  for (const OfVerb& verb : verbs) sum += verb.succeeded;
  return sum;
}

std::uint64_t Measurement::failed() const {
  std::uint64_t sum = 0;
  for (const OfVerb& verb : verbs) sum += verb.failed;
  return sum;
}

LatencyHistogram Measurement::Latency() const {
  LatencyHistogram all;
  for (const OfVerb& verb : verbs) all.Merge(verb.latency);
  return all;
}

LatencyHistogram Measurement::Service() const {
  LatencyHistogram all;
  for (const OfVerb& verb : verbs) all.Merge(verb.service);
  return all;
}

void LoadWindow::Merge(const LoadWindow& other) {
  length = std::max(length, other.length);
  sent += other.sent;
  succeeded += other.succeeded;
  failed += other.failed;
  latency.Merge(other.latency);
  service.Merge(other.service);
  own_lag.Merge(other.own_lag);
  busiest = std::max(busiest, other.busiest);
}

}  // namespace muster
