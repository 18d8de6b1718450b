#pragma once

#include <map>
#include <memory>
#include <string>

#include "topology/failover/testing/failover_world.h"

namespace muster::failover {

// A server of the simulation: it looks, reports, controls, and writes where its center may.
struct FailoverWorld::Node {
  std::string name;
  std::string center;
  bool runs = true;
  bool is_frozen = false;
  int life = 0;  // raised by a crash: what was under way is lost with it
  std::unique_ptr<FailoverController> controller;
  std::unique_ptr<WriterLeaseKeeper> lease;
  Sight sight;
  PlantedJournal journalled;
  Instant turned_at{};
  bool is_replacing = false;
  bool is_writing = false;
  std::int64_t sequence = 0;
};

}  // namespace muster::failover
