#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app/cli/exit_code.h"
#include "app/server/center_caches.h"
#include "app/server/center_options.h"
#include "app/server/route_trees.h"
#include "app/server/topology_metrics.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "cache/freshness_sampler.h"
#include "domain/keyring.h"
#include "store/mariadb/shard_mover_options.h"
#include "store/mariadb/topology_placement.h"
#include "topology/failover/failover_runner.h"
#include "topology/topology_etcd.h"
#include "topology/topology_watcher.h"
#include "topology/writer_lease.h"

namespace muster {

// What a server shares with all others of an installation that has several centers: the topology in etcd, its own right
// to write, its part in deciding about failovers, and the caches.
class Centers {
 public:
  struct Surroundings {
    const Keyring& keyring;
    const Clock& clock;
    Random& random;
    Logger& logger;
    MetricRegistry& metrics;
    std::string observer;         // this server's name among all
    Duration open_timeout;        // for etcd to answer, when it does not just then
    Duration replica_lag_max;     // beyond which no copy answers
    std::string database;         // on all servers, that holds the members
    bool allows_unsafe;           // store.mariadb.allow_unsafe_settings
    std::string saved_directory;  // where a rebuild keeps what a diverged database has more
  };
  // Reads the topology, waits for etcd while it does not answer, and fails with what else is wrong with it; then it
  // goes on by itself: also the databases, which may not have a primary yet.
  static Outcome<std::unique_ptr<Centers>> Open(const CenterOptions& options, const Surroundings& around);
  ~Centers();  // nobody reads or writes any more

  TopologyStore& topology() { return *store_; }
  TopologyWatcher& watcher() { return *watcher_; }
  failover::FailoverRunner& failover() { return *failover_; }
  const std::string& center() const { return options_.center; }
  WriterLeaseSource lease() {
    return [this] { return lease_.current(); };
  }
  // Where the groups' databases are, as this server reaches them.
  mariadb::PlacementSource placement() {
    return [this] { return placement_->Now(); };
  }
  // In which of them each shard lives.
  ShardMapSource shards() {
    return [this] { return placement_->Shards(); };
  }
  // The server that controls failovers moves shards, too.
  mariadb::ShardMoverOptions mover();
  // Null: no Redis is configured, and nothing is cached.
  CenterCaches* caches() { return caches_.get(); }
  // Who has to hear of what is committed; null: nobody.
  CommitListener* listener() { return freshness_.get(); }
  // Null: nothing is cached, so nothing can be late.
  FreshnessSampler* freshness() { return freshness_.get(); }
  // From now on writes are sampled: every cache and database is asked, and `routes` as a reader of this server.
  void StartFreshness(const RouteTrees& routes);

 private:
  Centers(const CenterOptions& options, const Surroundings& around);
  Outcome<void> Start();
  Outcome<void> WhenEtcdAnswers(const std::function<Result<void>()>& start) const;
  Outcome<void> CheckDocument() const;
  Outcome<void> StartFailover();

  const CenterOptions options_;
  const Surroundings around_;
  mariadb::Account control_account_;
  WriterLeaseKeeper lease_;
  std::unique_ptr<EtcdTopologyStore> store_;
  std::unique_ptr<TopologyWatcher> watcher_;
  std::unique_ptr<failover::ObserverBoard> board_;
  std::unique_ptr<failover::FailoverRunner> failover_;
  std::unique_ptr<TopologyMetrics> metrics_;
  std::unique_ptr<TopologyWatcher::Subscription> failover_hears_;
  std::unique_ptr<mariadb::TopologyPlacement> placement_;
  std::unique_ptr<CenterCaches> caches_;
  std::unique_ptr<FreshnessSampler> freshness_;  // over caches_
};

}  // namespace muster
