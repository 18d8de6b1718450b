#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "lab/component_command.h"
#include "lab/lab_topology.h"
#include "lab/layout.h"
#include "lab/probe.h"
#include "lab/process_keeper.h"
#include "lab/programs.h"

namespace muster::lab {

// What has been done to a component, for as long as the lab runs.
struct ComponentCondition {
  Duration clock_offset{0};
  bool has_full_disk = false;
};

// A component as `muster lab status` shows it.
struct ComponentStatus {
  const Component* component = nullptr;
  ProcessKeeper::Look process;
  Answer answer;
  ComponentCondition condition;
};

// The components and what is done to them. Thread-safe.
class Fleet {
 public:
  using Chosen = std::vector<const Component*>;

  Fleet(const Layout& layout, Programs programs, ProcessKeeper& keeper, const LabTopology& topology)
      : layout_(layout), programs_(std::move(programs)), keeper_(keeper), topology_(topology) {}

  // Those that run stay as they are. Of databases the topology says as what they start, unless it is not made yet.
  Result<void> Start(const Chosen& chosen, bool is_topology_made);
  Result<void> Kill(const Chosen& chosen);
  Result<void> Freeze(const Chosen& chosen);
  void Thaw(const Chosen& chosen);

  // Its disk has no room, until Empty; also after a start. INVALID_ARGUMENT: it keeps nothing on disk (Redis).
  Result<void> Fill(const Component& component);
  Result<void> Empty(const Component& component);

  // Ends it and starts it with a wall clock that is off by so much. INVALID_ARGUMENT: etcd, whose program takes no
  // library. NOT_FOUND: libfaketime is not installed.
  Result<void> SetClock(const Component& component, Duration offset);

  // Those of them that have been started once.
  Chosen Known(const Chosen& chosen);
  bool IsRunning(const Component& component) const { return keeper_.LookAt(component.name).pid != 0; }

  // Of those that have been started once. Asks all at a time.
  std::vector<ComponentStatus> Look();

  // SIGTERM to muster, then to databases and Redis; SIGKILL to what takes too long, and to etcd.
  void EndAll();

 private:
  Result<StartTerms> TermsOf(const Component& component, bool is_topology_made);
  void TerminateAndWait(const Chosen& chosen, Duration patience);
  static std::vector<std::string> NamesOf(const Chosen& chosen);

  const Layout& layout_;
  const Programs programs_;
  ProcessKeeper& keeper_;
  const LabTopology& topology_;
  std::mutex mutex_;
  std::map<std::string, ComponentCondition> conditions_;  // guarded by mutex_; of those that were started
  std::mutex looking_;                                    // one look at a time
};

}  // namespace muster::lab
