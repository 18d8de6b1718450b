#pragma once

#include <string>
#include <vector>

#include "topology/topology.h"

namespace muster::testing {

// Two centers, "east" and "west"; of each group a primary and a replica in east and two ackers in west, all of them
// well. Names are "e1", "e2", "w1", "w2", of a second group "e3"
// and so on.
inline TopologyDocument TwoCenters(int groups = 1) {
  TopologyDocument document{.revision = 10, .epoch = Epoch(3), .centers = {"east", "west"}, .writer = "east"};
  for (int group = 0; group < groups; ++group) {
    GroupRecord record{.name = "g" + std::to_string(group)};
    for (const std::string center : {"east", "west"}) {
      for (int i = 1; i <= 2; ++i) {
        const std::string name = center.substr(0, 1) + std::to_string(2 * group + i);
        record.databases.push_back({.name = name, .center = center, .address = name + ":3306"});
        if (center == "west") record.ackers.push_back({.name = name, .state = AckerState::kIn});
      }
    }
    record.primary = record.databases[0].name;
    record.durability = Durability::kBothCenters;
    record.ackers_revision = 1;
    document.groups.push_back(std::move(record));
  }
  return document;
}

// The same, where each database has another address for the other center.
inline TopologyDocument TwoDistantCenters(int groups = 1) {
  TopologyDocument document = TwoCenters(groups);
  for (GroupRecord& group : document.groups) {
    for (DatabaseRecord& database : group.databases) database.remote_address = database.name + ".far:3306";
  }
  return document;
}

// TwoCenters with a failover to west under way.
inline TopologyDocument FailingOver(FailoverKind kind = FailoverKind::kLoss, int groups = 1) {
  TopologyDocument document = TwoCenters(groups);
  document.epoch = Epoch(4);
  document.revision = 11;
  document.writer.clear();
  document.failover = FailoverJournal{.kind = kind,
                                      .from = "east",
                                      .to = "west",
                                      .cause = "a test",
                                      .begin_time = Timestamp(std::chrono::seconds(1'700'000'000)),
                                      .begin_revision = 11};
  for (const GroupRecord& group : document.groups) document.failover->groups.push_back({.group = group.name});
  return document;
}

}  // namespace muster::testing
