#include "centers/center_places.h"

#include "store/mariadb/topology_placement.h"

namespace muster::sim {

std::string DatabaseAt(const mariadb::Endpoint& endpoint) { return endpoint.host.substr(0, endpoint.host.find('.')); }

const mariadb::GroupPlacement& CenterPlaces::Now() {
  const Instant now = world_.now();
  const bool is_fresh = looked_at_ != Instant::min() && now - looked_at_ < mariadb::TopologyPlacement::kFreshFor;
  if (!is_fresh && sight_.document) {
    looked_at_ = now;
    now_ = mariadb::PlacementOf(*sight_.document, sight_.document_at, NameOf(place_), lag_.has_all_before());
  }
  return now_[0];
}

std::string CenterPlaces::Primary() {
  const mariadb::GroupPlacement& placement = Now();
  return placement.primary ? DatabaseAt(*placement.primary) : std::string();
}

}  // namespace muster::sim
