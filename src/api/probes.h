#pragma once

#include "api/api_dependencies.h"
#include "api/calls.h"

namespace muster {

// GET /livez, /readyz?verbose and /metrics, on either port and without a key. Text, as their readers expect.
class Probes {
 public:
  explicit Probes(const ApiDependencies& dependencies)
      : readiness_(dependencies.readiness), metrics_(*dependencies.metrics) {}

  static bool Serves(Rpc rpc) { return rpc == Rpc::kLive || rpc == Rpc::kReady || rpc == Rpc::kMetrics; }
  // 200 from /readyz means that reads and writes work now, 503 that something does not; `verbose` says what.
  void Answer(Calls& calls, Call& call, std::string_view query) const;

 private:
  void AnswerReady(Calls& calls, Call& call, bool verbose) const;

  std::function<std::vector<ReadinessCheck>()> readiness_;
  MetricRegistry& metrics_;
};

}  // namespace muster
