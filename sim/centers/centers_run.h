#pragma once

#include <memory>
#include <string>
#include <vector>

#include "centers/center_client.h"
#include "centers/center_server.h"
#include "centers/centers_simulation.h"

namespace muster::sim {

// One run, from its plan to its last comparison.
class CentersRun {
 public:
  CentersRun(std::uint64_t seed, PlantedInCenters bug, bool with_events);

  CentersResult Run();

 private:
  enum class Plan : std::uint8_t {
    kOneCenterLost,  // nothing else: writes are back in time
    kRough,          // everything, for some seconds
  };
  struct Slot {
    std::string name;
    Place place;
    std::unique_ptr<CenterServer> server = {};  // of this life; none: it is down
    std::vector<std::unique_ptr<CenterClient>> clients = {};
  };

  void DrawWeather();
  void Populate();
  void StartServer(Slot& slot);
  void EndServer(Slot& slot);
  void RestartServer(Slot& slot, Duration pause);
  void KillPlace(Place place);
  void StartPlace(Place place);
  void FreezePlace(Place place, bool is_frozen);
  void Misfortune();
  void MisfortuneOfDatabases(Duration lasting);
  void MisfortuneOfCaches(Duration lasting);
  void MisfortuneOfServers(Duration lasting);
  void MisfortuneOfPlaces(Duration lasting);
  void Heal();
  void Operate();
  void CheckEnd();
  void CheckCaches();
  RedisTwin& RedisOf(Place place) { return *caches_[CenterWorld::Index(place)]; }

  CenterWorld world_;
  CenterChecker checker_;
  TopologyTwin topology_;
  std::vector<std::unique_ptr<RedisTwin>> caches_;
  std::vector<MemberId> members_;
  std::vector<Identity> identities_;
  std::unique_ptr<ReplicatedGroup> group_;
  std::unique_ptr<CenterStage> stage_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::unique_ptr<CenterServer>> dead_;
  std::vector<std::unique_ptr<CenterClient>> dead_clients_;
  Plan plan_ = Plan::kRough;
  Place lost_ = Place::kEast;  // kOneCenterLost
  bool is_place_frozen_[2] = {false, false};
};

}  // namespace muster::sim
