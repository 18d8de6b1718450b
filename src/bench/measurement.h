#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "bench/latency_histogram.h"
#include "bench/load_call.h"

namespace muster {

// What happened to failed requests, by name. Names beyond the bound count as "other".
class FailureCounts {
 public:
  static constexpr std::size_t kNamesMax = 64;

  void Add(std::string_view name, std::uint64_t times = 1);
  void Merge(const FailureCounts& other);
  const std::map<std::string, std::uint64_t, std::less<>>& names() const { return names_; }

 private:
  std::map<std::string, std::uint64_t, std::less<>> names_;
};

// What a thread cost: its time on a processor, and its time waiting for one although it had work.
struct ThreadUsage {
  std::chrono::nanoseconds running{0};
  std::chrono::nanoseconds waiting{0};

  friend ThreadUsage operator-(const ThreadUsage& a, const ThreadUsage& b) {
    return {a.running - b.running, a.waiting - b.waiting};
  }
};

// All that is measured after the warm-up, of one thread or of several.
struct Measurement {
  struct OfVerb {
    std::uint64_t succeeded = 0;
    std::uint64_t failed = 0;
    // From the moment a request was due to its answer: of those that succeeded, and, with the time that had passed when
    // they were given up, of those that were not answered or not even sent. Failures that were answered are counted,
    // not timed: a refusal is fast.
    LatencyHistogram latency;
    LatencyHistogram
        service;  // from the moment it was sent; what a generator that waits for the server would call latency
  };
  std::array<OfVerb, kVerbCount> verbs;
  FailureCounts failures;
  std::uint64_t sent = 0;
  std::uint64_t unsent = 0;      // due, and never sent: no connection was free until the end
  std::uint64_t unanswered = 0;  // sent, and not answered when the run ended
  LatencyHistogram answered;  // from sent to an answer, whatever it was: what a server that stands still does not give
  LatencyHistogram delay;     // from due to sent, for whatever reason
  LatencyHistogram own_lag;   // the generator's own part of it (LoadWorker)
  ThreadUsage usage;          // summed over threads
  double busiest = 0;         // of the threads: the share of its time that it was running or waiting to

  void Merge(const Measurement& other);
  OfVerb& of(LoadVerb verb) { return verbs[static_cast<std::size_t>(verb)]; }
  const OfVerb& of(LoadVerb verb) const { return verbs[static_cast<std::size_t>(verb)]; }
  std::uint64_t succeeded() const;
  std::uint64_t failed() const;
  LatencyHistogram Latency() const;  // of all verbs
  LatencyHistogram Service() const;
};

// One second of a run, of one thread or of several.
struct LoadWindow {
  std::int64_t index = 0;              // second of the measurement, from 0; below: warm-up
  std::chrono::nanoseconds length{0};  // the first and the last may be shorter than a second
  std::uint64_t sent = 0;
  std::uint64_t succeeded = 0;  // answered in this second
  std::uint64_t failed = 0;
  LatencyHistogram latency;
  LatencyHistogram service;
  LatencyHistogram own_lag;
  double busiest = 0;

  void Merge(const LoadWindow& other);
};

}  // namespace muster
