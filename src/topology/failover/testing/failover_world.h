#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "topology/failover/failover_controller.h"
#include "topology/failover/testing/memory_databases.h"
#include "topology/failover/testing/planted_fault.h"
#include "topology/topology.h"
#include "topology/writer_lease.h"

namespace muster::failover {

// What happens to a simulated installation. Everything else follows from the seed.
struct WorldPlan {
  std::uint64_t seed = 1;
  int groups = 1;
  bool is_rough = true;          // many faults of all kinds; else what a test has happen
  std::string late_center = {};  // whose servers often hear late, of commits and of the topology
  PlantedFault planted = PlantedFault::kNone;
  FailoverOptions options = {};
  Duration length = std::chrono::seconds(12);
  Duration heal_at = std::chrono::seconds(6);  // everything works from then on
};

struct WorldResult {
  std::string violation = {};  // which invariant, and how; empty: none
  std::int64_t acknowledged = 0;
  std::int64_t failovers = 0;
  Duration longest_pause{};  // between two acknowledged writes
  std::vector<std::string> trace = {};
};

// Two centers with databases and a third with a witness, servers that write and control in each, all in one thread on a
// simulated clock. Checks on the way: LOST, TWO and DIVERGED of `models/failover.pml`; at the end, that writes are
// back.
class FailoverWorld {
 public:
  explicit FailoverWorld(const WorldPlan& plan);
  ~FailoverWorld();

  // Something that happens, as the plan's script: "kill center east", …
  void At(Duration when, std::function<void()> what);
  void KillCenter(const std::string& center);
  void FreezeCenter(const std::string& center, bool frozen);
  void Cut(const std::string& one, const std::string& other, bool cut);
  void KillDatabase(const std::string& name);
  void StartDatabase(const std::string& name);
  void FreezeDatabase(const std::string& name, bool frozen);
  void HideDatabase(const std::string& name, bool hidden);  // from servers, not from replication
  void SlowDatabase(const std::string& name, bool slow);    // it receives late
  void HoldDatabase(const std::string& name, bool held);    // it applies nothing of what it receives
  void CrashNode(const std::string& name);                  // a server; comes back by itself
  void PlanSwitchover(const std::string& to);
  void Heal();

  WorldResult Run();
  const TopologyDocument& topology() const { return *topology_; }
  MemoryDatabases& databases() { return databases_; }
  Duration elapsed() const { return clock_.Monotonic() - begin_; }

 private:
  struct Node;
  using Work = std::function<void()>;

  void After(Duration delay, Work work);
  void OnNode(Node& node, Duration delay, Work work);  // unless it has crashed since; once it runs
  Duration Latency();
  Duration LatencyTo(const Node& node);
  Duration Between(std::int64_t low_ms, std::int64_t high_ms);
  bool Chance(int in) { return random_.Below(static_cast<std::uint64_t>(in)) == 0; }
  bool AreLinked(const std::string& one, const std::string& other) const;
  bool ReachesEtcd(const std::string& center) const;
  bool Reaches(const Node& node, const std::string& database) const;
  void Violate(const std::string& what);
  void Trace(const std::string& what);

  void StartNode(Node& node);
  void ReadTopology(Node& node);
  void ExchangeReports(Node& node);
  void LookAt(Node& node, const std::string& database);
  void Turn(Node& node);
  void Send(Node& node, const DatabaseOrder& order);
  struct SentOrder {
    Node* sender = nullptr;
    int life = 0;  // of its sender
    DatabaseOrder order = {};
    bool is_lost = false;  // its answer
    std::optional<Instant> half_done_at = std::nullopt;
  };
  void Arrive(SentOrder sent);
  Result<void> Execute(const DatabaseOrder& order);
  void CheckPromotion(const DatabaseOrder& order);
  void Replace(Node& node, const TopologyDocument& next, std::int64_t revision, const std::string& why);
  void NoteChange(const TopologyDocument& before);
  void WriteSomething(Node& node);
  // A write on its way: what its server waits for.
  struct Write {
    std::string group;
    std::string primary;
    std::int64_t epoch = 0;
    std::uint64_t value = 0;
    std::size_t index = 0;  // in the primary's log
    int life = 0;           // of the primary
    Instant give_up_at{};
  };
  void AwaitCommit(Node& node, const Write& write);
  void Acknowledge(Node& node, const std::string& group, std::uint64_t value, std::int64_t epoch);
  void Replicate(const std::string& database);
  void Misfortune();
  void Operate();
  void CheckEnd();

  const WorldPlan plan_;
  SeededRandom random_;
  ManualClock clock_;
  const Instant begin_;
  std::multimap<Instant, Work> events_;
  std::shared_ptr<const TopologyDocument> topology_;
  MemoryDatabases databases_;
  std::map<std::string, std::string> center_of_;  // a database's
  std::map<std::string, std::unique_ptr<Node>> nodes_;
  std::map<std::string, ObserverReport> board_;
  std::set<std::pair<std::string, std::string>> cuts_;
  std::set<std::string> dead_centers_, hidden_, slow_, held_;
  std::map<std::string, Instant> heard_of_source_;
  std::map<std::string, SentOrder> half_done_;  // by database
  Instant etcd_away_until_{};
  bool healed_ = false;

  // What the checkers know.
  std::map<std::string, std::vector<std::uint64_t>> acknowledged_;  // by group
  std::map<std::string, std::string> promoted_;                     // by revision of the journal and group
  std::set<std::string> lost_from_;                                 // centers that were failed over from
  std::set<std::string> deciders_;                                  // ackers when a failover began, that ran since
  FailoverKind last_kind_ = FailoverKind::kLoss;
  std::uint64_t next_value_ = 0;
  Instant last_acknowledged_;
  WorldResult result_;
};

}  // namespace muster::failover
