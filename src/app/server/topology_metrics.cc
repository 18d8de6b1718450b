#include "app/server/topology_metrics.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

namespace muster {
namespace {

using failover::DatabaseSight;
using failover::FailoverStatus;

constexpr Duration kStatusKept = std::chrono::milliseconds(100);
constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

double SecondsOf(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// As the controller holds it (FailoverOptions::detect_after).
const DatabaseSight* FindReached(const FailoverStatus& status, const std::string& database) {
  const auto found = status.databases.find(database);
  if (found == status.databases.end() || found->second.looked_at == Instant::min()) return nullptr;
  return status.now - found->second.looked_at <= failover::FailoverOptions().detect_after ? &found->second : nullptr;
}

const DatabaseSight* FindPrimaryOf(const FailoverStatus& status, const std::string& group) {
  const GroupRecord* const record = status.document->FindGroup(group);
  return record == nullptr ? nullptr : FindReached(status, record->primary);
}

// How many transactions of its group's primary a database has not applied.
double MissingTransactions(const FailoverStatus& status, const std::string& group, const std::string& database) {
  const DatabaseSight* const primary = FindPrimaryOf(status, group);
  const DatabaseSight* const seen = FindReached(status, database);
  if (primary == nullptr || seen == nullptr) return kUnknown;
  const std::uint64_t all = primary->state.applied.Total();
  const std::uint64_t has = seen->state.applied.Total();
  return all > has ? static_cast<double>(all - has) : 0.0;
}

}  // namespace

TopologyMetrics::TopologyMetrics(Source source, WriterLeaseSource lease, const Clock& clock, MetricRegistry& registry)
    : source_(std::move(source)), clock_(clock), registry_(registry) {
  AddOfTopology(std::move(lease));
  const FailoverStatus begun = source_();
  for (const std::string& center : begun.document->centers) AddOfCenter(center);
  for (const GroupRecord& group : begun.document->groups) {
    AddOfGroup(group.name);
    for (const DatabaseRecord& database : group.databases) AddOfDatabase(group.name, database.name);
  }
}

void TopologyMetrics::AddOfTopology(WriterLeaseSource lease) {
  Add("muster_topology_revision", "Revision of the topology that this server goes by.",
      [](const FailoverStatus& status) { return static_cast<double>(status.document->revision); });
  Add("muster_topology_epoch", "Epoch of the topology: raised each time the right to write moves.",
      [](const FailoverStatus& status) { return static_cast<double>(status.document->epoch.value()); });
  Add("muster_topology_age_seconds", "Since the read was sent that last confirmed the topology.",
      [](const FailoverStatus& status) { return SecondsOf(status.now - status.document_at); });
  Add("muster_topology_lease_seconds", "For how long this server may write unless it confirms the topology again.",
      [this, lease = std::move(lease)](const FailoverStatus&) {
        const Instant until = lease().valid_until;
        const Instant now = clock_.Monotonic();
        return until <= now ? 0.0 : SecondsOf(until - now);
      });
  Add("muster_failover_controls", "1 while this server is the one that controls failovers.",
      [](const FailoverStatus& status) { return status.leads ? 1.0 : 0.0; });
  Add("muster_failover_under_way", "1 while a failover or a switchover is under way.",
      [](const FailoverStatus& status) { return status.document->failover ? 1.0 : 0.0; });
  Add("muster_failover_attention", "Things that need an operator, as this server sees it (`muster topology show`).",
      [](const FailoverStatus& status) { return static_cast<double>(status.attention.size()); });
}

void TopologyMetrics::AddOfCenter(const std::string& center) {
  const MetricLabels labels = {{"center", center}};
  Add(
      "muster_topology_writes", "1 for the center whose databases are written to.",
      [center](const FailoverStatus& status) { return status.document->writer == center ? 1.0 : 0.0; }, labels);
  Add(
      "muster_topology_cache_used", "1 while the cache of the center is read.",
      [center](const FailoverStatus& status) {
        const CacheRecord* const cache = status.document->FindCache(center);
        return cache != nullptr && cache->mode == CacheMode::kOn ? 1.0 : 0.0;
      },
      labels);
}

void TopologyMetrics::AddOfGroup(const std::string& group) {
  const MetricLabels labels = {{"group", group}};
  Add(
      "muster_failover_group_degraded", "1 while commits of the group wait for no other center.",
      [group](const FailoverStatus& status) {
        const GroupRecord* const record = status.document->FindGroup(group);
        return record != nullptr && record->durability == Durability::kDegraded ? 1.0 : 0.0;
      },
      labels);
  Add(
      "muster_failover_group_ackers", "Databases that acknowledge the group's commits.",
      [group](const FailoverStatus& status) {
        const GroupRecord* const record = status.document->FindGroup(group);
        return record == nullptr
                   ? kUnknown
                   : static_cast<double>(std::ranges::count(record->ackers, AckerState::kIn, &AckerRecord::state));
      },
      labels);
}

void TopologyMetrics::AddOfDatabase(const std::string& group, const std::string& database) {
  const MetricLabels labels = {{"group", group}, {"database", database}};
  Add(
      "muster_failover_database_reached", "1 while the database answers this server.",
      [database](const FailoverStatus& status) { return FindReached(status, database) != nullptr ? 1.0 : 0.0; },
      labels);
  Add(
      "muster_failover_database_faulty", "1 while the database has diverged, or cannot apply what it receives.",
      [database](const FailoverStatus& status) {
        const DatabaseSight* const seen = FindReached(status, database);
        if (seen == nullptr) return kUnknown;
        return seen->state.fault == failover::ReplicaFault::kNone ? 0.0 : 1.0;
      },
      labels);
  Add(
      "muster_failover_database_missing_transactions",
      "Transactions of its group's primary that the database has not applied; NaN while one of them does not answer.",
      [group, database](const FailoverStatus& status) { return MissingTransactions(status, group, database); }, labels);
}

void TopologyMetrics::Add(std::string_view name, std::string_view help, Read read, MetricLabels labels) {
  registry_.AddGauge(
      name, help,
      [this, read = std::move(read)] {
        std::lock_guard lock(mutex_);
        const Instant now = clock_.Monotonic();
        if (now >= status_until_) {
          status_ = source_();
          status_until_ = now + kStatusKept;
        }
        return read(status_);
      },
      std::move(labels));
}

}  // namespace muster
