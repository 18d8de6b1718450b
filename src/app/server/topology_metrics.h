#pragma once

#include <functional>
#include <mutex>

#include "base/clock.h"
#include "base/metrics.h"
#include "topology/failover/failover_operator.h"
#include "topology/writer_lease.h"

namespace muster {

// The topology as this server knows it, and what it sees of the databases, as metrics: what is alerted on, and what
// says afterwards how a failover went. There is one series for each center, group and database of the topology that the
// server began with; what is added later is shown after the next start.
class TopologyMetrics {
 public:
  using Source = std::function<failover::FailoverStatus()>;

  // `source`, `lease` and `clock` are asked until the registry is exposed for the last time.
  TopologyMetrics(Source source, WriterLeaseSource lease, const Clock& clock, MetricRegistry& registry);
  TopologyMetrics(const TopologyMetrics&) = delete;

 private:
  using Read = std::function<double(const failover::FailoverStatus&)>;

  void AddOfTopology(WriterLeaseSource lease);
  void AddOfCenter(const std::string& center);
  void AddOfGroup(const std::string& group);
  void AddOfDatabase(const std::string& group, const std::string& database);
  void Add(std::string_view name, std::string_view help, Read read, MetricLabels labels = {});

  const Source source_;
  const Clock& clock_;
  MetricRegistry& registry_;
  std::mutex mutex_;
  failover::FailoverStatus status_;        // guarded by mutex_
  Instant status_until_ = Instant::min();  // likewise: one status for all metrics of an exposition
};

}  // namespace muster
