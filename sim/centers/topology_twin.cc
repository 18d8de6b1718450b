#include "centers/topology_twin.h"

#include <algorithm>
#include <utility>

#include "topology/topology_codec.h"

namespace muster::sim {
namespace {

std::unexpected<Error> NoMajority() { return muster::Fail(Reason::kWritesUnavailable, "no majority of etcd answers"); }

}  // namespace

TopologyTwin::TopologyTwin(CenterWorld& world, TopologyDocument first)
    : world_(world), document_(std::make_shared<const TopologyDocument>(std::move(first))) {}

bool TopologyTwin::Answers(Place from) const {
  if (world_.now() < away_until_) return false;
  int voters = 0;
  for (const Place voter : {Place::kEast, Place::kWest, Place::kWitness}) {
    if (world_.runs[CenterWorld::Index(voter)] && world_.AreLinked(from, voter)) ++voters;
  }
  return voters >= 2;
}

Result<std::shared_ptr<const TopologyDocument>> TopologyTwin::Change(
    Place from, const std::function<Result<void>(TopologyDocument&)>& change) {
  if (!Answers(from)) return NoMajority();
  const std::shared_ptr<const TopologyDocument> before = document_;
  MUSTER_ASSIGN(TopologyDocument changed, ChangeTopology(*before, "the simulated topology", change));
  document_ = std::make_shared<const TopologyDocument>(std::move(changed));
  if (on_change) on_change(*before);
  return document_;
}

void TopologyTwin::BeAway(Duration length) { away_until_ = std::max(away_until_, world_.now() + length); }

Result<std::shared_ptr<const TopologyDocument>> ServerTopologyStore::Read() {
  if (!life_.Acts() || !twin_.Answers(place_)) return NoMajority();
  return twin_.document();
}

Result<std::shared_ptr<const TopologyDocument>> ServerTopologyStore::Update(
    const std::function<Result<void>(TopologyDocument&)>& change) {
  if (!life_.Acts()) return NoMajority();
  MUSTER_ASSIGN(auto stored, twin_.Change(place_, change));
  if (world_.is_rough && !world_.is_healed && world_.Chance(12)) return NoMajority();
  return stored;
}

}  // namespace muster::sim
