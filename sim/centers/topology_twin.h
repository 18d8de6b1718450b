#pragma once

#include <functional>
#include <memory>

#include "centers/center_world.h"
#include "topology/topology.h"
#include "topology/topology_signal.h"

namespace muster::sim {

// etcd with a voter at each place: one document, changed one change at a time; it answers whoever reaches a majority of
// the voters.
class TopologyTwin {
 public:
  TopologyTwin(CenterWorld& world, TopologyDocument first);

  const std::shared_ptr<const TopologyDocument>& document() const { return document_; }
  bool Answers(Place from) const;
  // As the store's Update, by whoever is at `from`, now.
  Result<std::shared_ptr<const TopologyDocument>> Change(Place from,
                                                         const std::function<Result<void>(TopologyDocument&)>& change);
  // An election, for so long.
  void BeAway(Duration length);

  // Told of each change, with what was before.
  std::function<void(const TopologyDocument&)> on_change = {};

 private:
  CenterWorld& world_;
  std::shared_ptr<const TopologyDocument> document_;
  Instant away_until_{};
};

// The same for one process. What it does, it does at once; how long messages travel is its caller's affair. In rough
// weather the answer of a change may be lost.
class ServerTopologyStore final : public TopologyStore {
 public:
  ServerTopologyStore(CenterWorld& world, TopologyTwin& twin, const ProcessLife& life, Place place)
      : world_(world), twin_(twin), life_(life), place_(place) {}

  Result<std::shared_ptr<const TopologyDocument>> Read() override;
  Result<std::shared_ptr<const TopologyDocument>> Update(
      const std::function<Result<void>(TopologyDocument&)>& change) override;

 private:
  CenterWorld& world_;
  TopologyTwin& twin_;
  const ProcessLife& life_;
  const Place place_;
};

// For a watcher without a thread: to be woken is to look at once.
class LookingSignal final : public TopologySignal {
 public:
  explicit LookingSignal(std::function<void()> look) : look_(std::move(look)) {}
  bool Wait(Duration /*at_most*/) override { return true; }
  void Wake() override { look_(); }

 private:
  const std::function<void()> look_;
};

}  // namespace muster::sim
