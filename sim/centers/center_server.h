#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "cache/cache_keeper.h"
#include "cache/cache_states.h"
#include "cache/center_invalidator.h"
#include "cache/topology_bypass.h"
#include "centers/center_places.h"
#include "centers/copy_reader.h"
#include "centers/group_store.h"
#include "centers/redis_client.h"
#include "domain/id_allocator.h"
#include "domain/ports/member_writer.h"
#include "routing/center_route.h"
#include "topology/failover/failover_controller.h"
#include "topology/failover/replica_lag.h"
#include "topology/failover/testing/planted_fault.h"
#include "topology/topology_watcher.h"

namespace muster::sim {

// What the servers of both centers share.
struct CenterStage {
  CenterWorld& world;
  TopologyTwin& topology;
  ReplicatedGroup& group;
  CenterChecker& checker;
  std::vector<RedisTwin*> caches;                              // of east and west
  std::map<std::string, failover::ObserverReport> board = {};  // beside the topology
  std::uint64_t requests = 0;
  std::uint64_t names = 0;  // that members have been given
  std::vector<MemberId> members = {};
  std::vector<Identity> identities = {};
};

// One life of a server of a center, put together as app/server/centers.cc and center_caches.cc do it; what has threads
// there is stepped here. Once dead it stays until the run is over, so that what it had begun can end.
class CenterServer {
 public:
  CenterServer(CenterStage& stage, std::string name, Place place);
  ~CenterServer();
  CenterServer(const CenterServer&) = delete;

  // From the first topology that it reads on.
  void Start();
  // It is told that the topology may have changed.
  void HearOfTopology();
  ProcessLife& life() { return life_; }
  const std::string& name() const { return name_; }
  Place place() const { return place_; }
  // What its operator asks for, when it is possible.
  bool PlanSwitchover(const std::string& to);

  MemberReader& route() { return *route_; }
  MemberWriter& writer() { return *writer_; }
  bool is_open() const { return writer_ != nullptr; }
  CacheState CacheStateNow() const { return states_->Of(std::string(NameOf(place_)))(); }
  std::uint64_t unusable_lookups() const { return reading_cache_->unusable(); }

 private:
  class TwistedBypass;

  void Open();
  void OpenCaches();
  void OpenReadsAndWrites();
  CacheKeeper::Center KeptCenter(RedisClient& cache, const std::string& center);
  void Every(Duration low, Duration high, std::function<void()> work);

  void ReadTopology();
  void TakeTopology(const std::shared_ptr<const TopologyDocument>& document, Instant sent);
  void ExchangeReports();
  void LookAt(const std::string& database);
  void Turn();
  void Send(const failover::DatabaseOrder& order);
  void Replace(const TopologyDocument& next, std::int64_t revision, const std::string& why);
  void RepeatChanges();
  Result<void> StepTopology();

  CenterStage& stage_;
  CenterWorld& world_;
  const std::string name_;
  const Place place_;
  ProcessLife life_;
  MetricRegistry metrics_;
  ServerTopologyStore store_;
  WriterLeaseKeeper lease_;
  std::unique_ptr<TopologyWatcher> watcher_;
  failover::FailoverController controller_;
  failover::ReplicaLag lag_;
  failover::Sight sight_;
  failover::PlantedJournal journalled_;
  CenterPlaces places_;
  Instant turned_at_{};
  bool is_reading_topology_ = false;
  bool is_replacing_ = false;
  std::int64_t sequence_ = 0;

  std::unique_ptr<CacheStates> states_;
  std::unique_ptr<TopologyBypass> bypass_;
  std::unique_ptr<TwistedBypass> twisted_bypass_;
  std::vector<std::unique_ptr<RedisClient>> writing_caches_;
  std::unique_ptr<RedisClient> reading_cache_;
  std::unique_ptr<CenterInvalidator> invalidator_;
  std::unique_ptr<CacheKeeper> keeper_;
  std::unique_ptr<MemberReader> route_;
  std::unique_ptr<GroupStore> shards_;
  std::unique_ptr<IdAllocator> ids_;
  std::unique_ptr<MemberWriter> writer_;
  std::uint64_t repeated_ = 0;  // the last commit of which the caches were told again
};

}  // namespace muster::sim
