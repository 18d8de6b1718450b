#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "centers/center_checker.h"
#include "centers/center_world.h"
#include "centers/group_rows.h"
#include "centers/topology_twin.h"
#include "topology/failover/controller_turn.h"
#include "topology/failover/testing/memory_databases.h"

namespace muster::sim {

// The databases of one group: the replication of the failover's own twin (topology/failover/testing), in which an entry
// of the log is the number of a commit whose rows are kept here; and clients' transactions on the primary, whose
// commits wait for an acker, with their locks, and are seen by nobody until then.
class ReplicatedGroup {
 public:
  ReplicatedGroup(CenterWorld& world, TopologyTwin& topology, CenterChecker& checker, const GroupCommit& first);

  failover::MemoryDatabases& databases() { return databases_; }
  const failover::MemoryDatabases::Database& Get(const std::string& name) const { return databases_.Get(name); }
  const std::vector<std::string>& names() const { return names_; }
  Place PlaceOf(const std::string& name) const { return places_.at(name); }
  // Whoever is at `from` is answered by it now.
  bool Reaches(Place from, const std::string& name) const;
  // What a client sees there now.
  const GroupRows& Visible(const std::string& name);
  const GroupCommit& CommitOf(std::uint64_t value) const { return commits_[value]; }

  // Whether a commit that still waits has one of these rows, or whether `raises_fence` and any does.
  bool IsLocked(const std::string& name, const std::vector<RowLock>& locks, bool raises_fence) const;
  // A commit begins there: its number; 0: the server takes no writes.
  std::uint64_t Begin(const std::string& name, GroupCommit commit);
  // Calls `done` once: true when it is committed, false when the server has ended. Never, while neither is so.
  void AwaitCommit(const std::string& name, std::uint64_t value, std::move_only_function<void(bool)> done);

  // An order that has arrived.
  Result<void> Execute(const failover::DatabaseOrder& order);
  // What an operator does: those that have diverged become copies of the primary; one that was the primary, and does
  // not become read-only because its commits wait for ever, is ended and started as a replica.
  void Mend();

  void Kill(const std::string& name);
  void Start(const std::string& name);
  void Freeze(const std::string& name, bool is_frozen);
  void Hide(const std::string& name, bool is_hidden);  // from servers, not from replication
  void Slow(const std::string& name, bool is_slow);    // it receives late
  void Heal();

 private:
  struct Waiter {
    std::size_t index = 0;
    int life = 0;
    std::move_only_function<void(bool)> done;
  };
  struct Node {
    GroupRows rows = {};
    std::size_t count = 0;   // entries of the log that the rows have
    std::uint64_t last = 0;  // the last of these
    std::vector<Waiter> waiters = {};
    bool is_hidden = false;
    bool is_slow = false;
    Instant heard_of_source{};
  };

  void Replicate(const std::string& name);
  void ReceiveSome(const std::string& name);
  void Settle(const std::string& name);
  void SettleAll();

  CenterWorld& world_;
  TopologyTwin& topology_;
  CenterChecker& checker_;
  failover::MemoryDatabases databases_;
  std::vector<GroupCommit> commits_;  // by number; the first is none
  std::vector<std::string> names_;
  std::map<std::string, Place> places_;
  std::map<std::string, Node> nodes_;
};

}  // namespace muster::sim
