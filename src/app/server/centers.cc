#include "app/server/centers.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "app/files.h"
#include "app/server/database_commands.h"
#include "app/server/freshness_tiers.h"
#include "base/pii.h"
#include "store/mariadb/replication.h"

namespace muster {
namespace {

constexpr Duration kStartAgainAfter = std::chrono::milliseconds(500);

}  // namespace

Outcome<std::unique_ptr<Centers>> Centers::Open(const CenterOptions& options, const Surroundings& around) {
  std::unique_ptr<Centers> centers(new Centers(options, around));
  MUSTER_TRY(centers->Start());
  return centers;
}

Centers::Centers(const CenterOptions& options, const Surroundings& around)
    : options_(options), around_(around), lease_(options.center, LeaseTerm::kTimed) {}

Outcome<void> Centers::Start() {
  MUSTER_TRY(WhenEtcdAnswers([this]() -> Result<void> {
    MUSTER_ASSIGN(store_, OpenTopologyEtcd(options_.etcd, {.clock = &around_.clock, .random = &around_.random}));
    return {};
  }));
  watcher_ = std::make_unique<TopologyWatcher>(TopologyWatcher::Dependencies{.store = store_.get(),
                                                                             .signal = store_->MakeSignal(),
                                                                             .clock = &around_.clock,
                                                                             .logger = &around_.logger,
                                                                             .lease = &lease_});
  MUSTER_TRY(WhenEtcdAnswers([this] { return watcher_->Start(); }));
  MUSTER_TRY(CheckDocument());
  MUSTER_TRY(StartFailover());
  if (options_.caches.empty()) return {};
  auto caches = CenterCaches::Start(options_, {.topology = *store_,
                                               .watcher = *watcher_,
                                               .keyring = around_.keyring,
                                               .clock = around_.clock,
                                               .random = around_.random,
                                               .logger = around_.logger,
                                               .metrics = around_.metrics});
  if (!caches) return Fails(caches.error());
  caches_ = *std::move(caches);
  freshness_ = std::make_unique<FreshnessSampler>(FreshnessSampler::Dependencies{.listener = &caches_->listener(),
                                                                                 .clock = &around_.clock,
                                                                                 .logger = &around_.logger,
                                                                                 .metrics = &around_.metrics});
  return {};
}

// It may be between two leaders, or be started at the same time as this server.
Outcome<void> Centers::WhenEtcdAnswers(const std::function<Result<void>()>& start) const {
  const Instant until = around_.clock.Monotonic() + around_.open_timeout;
  std::string said;
  while (true) {
    const Result<void> started = start();
    if (started) return {};
    if (started.error().reason != Reason::kStale || around_.clock.Monotonic() + kStartAgainAfter >= until) {
      return Fails(started.error());
    }
    if (said != started.error().message) {
      said = started.error().message;
      around_.logger.Warning("the server waits for etcd", {{"reason", said}});
    }
    std::this_thread::sleep_for(kStartAgainAfter);
  }
}

Outcome<void> Centers::CheckDocument() const {
  const auto document = watcher_->snapshot();
  const std::string at = "the topology in etcd (revision " + std::to_string(document->revision) + ") ";
  if (document->centers.empty() || document->groups.empty()) {
    return Fails(ExitCode::kFailure,
                 at + "names no centers or no groups of databases: write the first one with `muster topology init`");
  }
  for (const std::string& center : document->centers) {
    if (center == options_.center) continue;
    const bool is_cached =
        options_.caches.empty() || std::ranges::count(options_.caches, center, &CenterOptions::CacheRow::center) > 0;
    if (is_cached) continue;
    return Fails(ExitCode::kFailure, "cache.redis.centers has no table for center " + center +
                                         " of the topology: what is written here would not be told to its cache");
  }
  if (std::ranges::count(document->centers, options_.center) > 0) return {};
  return Fails(ExitCode::kFailure, at + "has no center \"" + options_.center + "\": correct center.name");
}

Outcome<void> Centers::StartFailover() {
  MUSTER_ASSIGN(const CommandAccounts accounts, ReadCommandAccounts(options_));
  MUSTER_TRY(MakePrivateDirectory(around_.saved_directory));
  // Names that are not addresses are refused before a thread needs one.
  for (const GroupRecord& group : watcher_->snapshot()->groups) {
    for (const DatabaseRecord& database : group.databases) {
      if (const auto commands = CommandsOf(options_.center, accounts, group, database); !commands) {
        return Fails(ExitCode::kFailure, commands.error().message);
      }
    }
  }
  control_account_ = accounts.control;
  board_ = store_->MakeBoard();
  const auto make_control = [this, accounts](const GroupRecord& group, const DatabaseRecord& database) {
    auto commands = CommandsOf(options_.center, accounts, group, database);
    mariadb::ReplicationOptions options;
    if (commands) {
      options = *std::move(commands);
    } else {
      // A group that was added since: nobody answers there.
      around_.logger.Error("a database of the topology has no address", {{"error", commands.error().message}});
    }
    options.saved_directory = around_.saved_directory;
    options.database = around_.database;
    options.allows_unsafe = around_.allows_unsafe;
    return mariadb::MakeReplicaControl(std::move(options), around_.clock);
  };
  failover_ = std::make_unique<failover::FailoverRunner>(
      failover::FailoverRunnerOptions{
          .name = around_.observer, .center = options_.center, .controls = options_.controls},
      failover::FailoverRunner::Dependencies{.store = store_.get(),
                                             .board = board_.get(),
                                             .make_control = make_control,
                                             .clock = &around_.clock,
                                             .random = &around_.random,
                                             .logger = &around_.logger});
  MUSTER_TRY(WhenEtcdAnswers([this] { return failover_->Start(); }));
  metrics_ = std::make_unique<TopologyMetrics>([this] { return failover_->Status(); }, lease(), around_.clock,
                                               around_.metrics);
  // It reads by itself ten times a second; the watcher is told when there is something to read.
  failover_hears_ = watcher_->Subscribe([this](const auto& document) { failover_->Hear(document); });
  placement_ = std::make_unique<mariadb::TopologyPlacement>([this] { return failover_->Status(); }, options_.center,
                                                            around_.clock);
  return {};
}

mariadb::ShardMoverOptions Centers::mover() {
  return {.topology = store_.get(),
          .sight =
              [this] {
                const failover::FailoverStatus status = failover_->Status();
                return mariadb::ShardMoverOptions::Sight{.document = status.document, .leads = status.leads};
              },
          .name = around_.observer};
}

void Centers::StartFreshness(const RouteTrees& routes) {
  freshness_->Start(FreshnessTiers({.options = options_,
                                    .caches = *caches_,
                                    .watcher = *watcher_,
                                    .routes = routes,
                                    .clock = around_.clock,
                                    .control = control_account_,
                                    .database = around_.database,
                                    .replica_lag_max = around_.replica_lag_max}));
}

Centers::~Centers() {
  freshness_.reset();
  caches_.reset();
  failover_hears_.reset();
  if (failover_) failover_->Stop();
  if (watcher_) watcher_->Stop();
}

}  // namespace muster
