#pragma once

#include <memory>

#include "api/change_hub.h"
#include "app/cli/exit_code.h"
#include "app/server/centers.h"
#include "app/server/member_data.h"
#include "app/server/route_trees.h"
#include "app/server/server_options.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/timer.h"
#include "domain/commit_floor.h"
#include "domain/id_allocator.h"
#include "domain/identity_catalog.h"
#include "domain/keyring.h"
#include "domain/ports/member_cache.h"
#include "domain/ports/member_merger.h"
#include "domain/ports/member_writer.h"
#include "search/search_index.h"
#include "store/change_repeater.h"
#include "store/member_store.h"
#include "store/sweeper.h"
#include "topology/topology.h"
#include "traffic/callers.h"

namespace muster {

// Everything of a server but its ports: the data directory, the secrets, the store with its cache, writer and sweeper,
// the index of the search, the reader of changes, the topology and the callers.
class MemberDirectory {
 public:
  // Opens the data directory, and makes on the first start what it needs: the directory (0700), the keyring, the store,
  // the topology, the caller `admin` with its key. Failures leave nothing half-made and say what to do. `logger`
  // outlives it.
  static Outcome<std::unique_ptr<MemberDirectory>> Open(const ServerOptions& options, Logger& logger);
  // Stops the sweeper, finishes what the store has queued, closes. Every user of it must be gone.
  ~MemberDirectory();

  MemberWriter& writer() { return *writer_; }
  MemberMerger& merger() { return *merger_; }
  MemberStore& store() { return *store_.store; }
  MemberCache& near_cache() { return *near_cache_; }
  CallerDirectory& callers() { return *callers_; }
  TopologyStore& topology() { return *topology_; }
  // Null: this server is alone with its data.
  Centers* centers() { return centers_.get(); }
  RouteTrees& routes() { return *routes_; }
  ChangeHub& changes() { return *changes_; }
  // Null when members are not searched here.
  MemberSearch* search() { return search_.get(); }
  MetricRegistry& metrics() { return metrics_; }
  Random& random() { return random_; }
  const Clock& clock() const { return clock_; }
  const Keyring& keyring() const { return *keyring_; }
  // A name for this installation that goes with its keyring: what data of one is never mistaken for another's by.
  const std::string& installation() const { return installation_; }
  const IdentityCatalog& catalog() const { return *catalog_; }

 private:
  MemberDirectory() = default;
  Outcome<void> OpenParts(const ServerOptions& options, Logger& logger);
  // What goes on by itself beside reads and writes.
  void StartFollowers(const ServerOptions& options, Logger& logger);
  Outcome<void> OpenCenters(const ServerOptions& options, Logger& logger);
  Outcome<void> OpenTopology(const ServerOptions& options, Logger& logger);
  // Begins above whatever number the data knows.
  void MakeIds(Logger& logger);

  SystemClock clock_;
  SystemRandom random_;
  MetricRegistry metrics_;
  CommitFloor floor_;
  std::unique_ptr<IdentityCatalog> catalog_;
  std::unique_ptr<Keyring> keyring_;
  std::string installation_;
  std::unique_ptr<IdAllocator> ids_;
  std::unique_ptr<MemberCache> near_cache_;
  std::unique_ptr<Centers> centers_;
  OpenedStore store_;
  std::unique_ptr<ThreadTimer> timer_ = std::make_unique<ThreadTimer>();
  std::unique_ptr<MemberWriter> writer_;
  std::unique_ptr<MemberMerger> merger_;
  std::unique_ptr<TopologyStore> topology_file_;
  TopologyStore* topology_ = nullptr;  // that file, or the centers'
  std::unique_ptr<CallerDirectory> callers_;
  std::unique_ptr<TopologyWatcher::Subscription> callers_follow_;  // the centers' topology
  std::unique_ptr<RouteTrees> routes_;
  std::unique_ptr<SearchIndex> search_;
  std::unique_ptr<ChangeHub> changes_;
  std::unique_ptr<Sweeper> sweeper_;
  std::unique_ptr<ChangeRepeater> repeater_;  // null: there are no caches of centers
};

}  // namespace muster
