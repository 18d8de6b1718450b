#include "store/mariadb/testing/mariadb_runners.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace muster::testing {

using failover::FailoverRunner;
using failover::MemoryObserverBoard;

MariadbRunners::MariadbRunners(MariadbGroup& group, bool controls) {
  auto store = OpenTopologyFile(directory_.path() + "/topology.json");
  MUSTER_CHECK(store.has_value());
  store_ = *std::move(store);
  MUSTER_CHECK(store_
                   ->Update([&](TopologyDocument& document) -> Result<void> {
                     document = group.Document();
                     return {};
                   })
                   .has_value());
  for (const auto& [name, center] : {std::pair("se", "east"), std::pair("sw", "west"), std::pair("so", "witness")}) {
    boards_.push_back(std::make_unique<MemoryObserverBoard>(shared_));
    auto& runner = runners_[name] = std::make_unique<FailoverRunner>(
        failover::FailoverRunnerOptions{.name = name, .center = center, .controls = controls},
        FailoverRunner::Dependencies{
            .store = store_.get(),
            .board = boards_.back().get(),
            .make_control = [&group](const GroupRecord&,
                                     const DatabaseRecord& record) { return group.MakeControl(record.name); },
            .clock = &group.clock,
            .random = &random_,
            .logger = &NullLogger()});
    MUSTER_CHECK(runner->Start().has_value());
  }
}

MariadbRunners::~MariadbRunners() {
  for (const auto& [name, runner] : runners_) runner->Stop();
}

bool MariadbRunners::IsWhole() {
  const TopologyDocument document = Topology();
  const GroupRecord& record = document.groups[0];
  return !document.failover && record.durability == Durability::kBothCenters && record.ackers.size() == 2 &&
         std::ranges::all_of(record.ackers, [](const AckerRecord& acker) { return acker.state == AckerState::kIn; });
}

std::string MariadbRunners::Attention() {
  std::string text;
  for (const auto& [name, runner] : runners_) {
    for (const std::string& each : runner->Status().attention) text += name + ": " + each + "\n";
  }
  return text;
}

}  // namespace muster::testing
