#pragma once

#include "api/api_dependencies.h"
#include "api/calls.h"

namespace muster {

// GET /livez, /readyz?verbose and /metrics, on either port and without a key. Text, as their readers expect.
class Probes {
 public:
  // An exposition takes milliseconds and anybody may ask for it: on the callers' port all ask for one that is this old
  // at most. Operators have the admin port to themselves.
  static constexpr Duration kExpositionAgeMax = std::chrono::seconds(1);

  Probes(const ApiDependencies& dependencies, Duration exposition_age_max)
      : readiness_(dependencies.readiness),
        metrics_(*dependencies.metrics),
        clock_(*dependencies.clock),
        exposition_age_max_(exposition_age_max) {}

  static bool Serves(Rpc rpc) { return rpc == Rpc::kLive || rpc == Rpc::kReady || rpc == Rpc::kMetrics; }
  // 200 from /readyz means that reads and writes work now, 503 that something does not, and says what; `verbose` lists
  // every check.
  void Answer(Calls& calls, Call& call, std::string_view query) const;

 private:
  void AnswerReady(Calls& calls, Call& call, bool verbose) const;

  std::function<std::vector<ReadinessCheck>()> readiness_;
  MetricRegistry& metrics_;
  const Clock& clock_;
  const Duration exposition_age_max_;
};

}  // namespace muster
