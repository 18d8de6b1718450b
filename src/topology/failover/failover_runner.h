#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/result.h"
#include "topology/failover/failover_controller.h"
#include "topology/failover/failover_operator.h"
#include "topology/failover/failover_plan.h"
#include "topology/failover/observer_board.h"
#include "topology/failover/replica_control.h"
#include "topology/failover/replica_lag.h"
#include "topology/topology.h"

namespace muster::failover {

struct FailoverRunnerOptions {
  std::string name;      // of this observer, unique over all servers
  std::string center;    // where it is
  bool controls = true;  // false: it looks and reports, and others decide
  FailoverOptions times = {};
  Duration look_period = std::chrono::milliseconds(100);           // at each database
  Duration look_period_under_way = std::chrono::milliseconds(20);  // of who controls, while writes wait for it
  Duration exchange_period = std::chrono::milliseconds(100);       // the topology is read, and reports are exchanged
  Duration turn_period = std::chrono::milliseconds(50);            // at the latest; also whenever there is news
  Duration order_timeout = std::chrono::seconds(5);
  Duration order_patience = std::chrono::seconds(10);           // who obeys no order for so long needs somebody
  Duration order_patience_under_way = std::chrono::seconds(1);  // the same while a failover waits for it
};

// Looks at all databases, tells the other servers what it reaches, and is the controller while it is its turn: the
// threads around FailoverController, in `muster serve`.
//
//   looks     two threads a database: one looks, one does what the controller orders
//   exchange  one thread: reads the topology, then exchanges reports
//   turns     one thread: decides, hands out orders, stores the topology that is to be
//
// All are started by Start and joined by Stop.
class FailoverRunner final : public FailoverOperator {
 public:
  using ControlMaker = std::function<std::unique_ptr<ReplicaControl>(const GroupRecord&, const DatabaseRecord&)>;
  struct Dependencies {
    TopologyStore* store = nullptr;
    ObserverBoard* board = nullptr;
    ControlMaker make_control = {};  // called twice for each database
    const Clock* clock = nullptr;
    Random* random = nullptr;
    Logger* logger = nullptr;
  };

  FailoverRunner(FailoverRunnerOptions options, Dependencies dependencies);
  ~FailoverRunner() override;  // Stop must have been called
  FailoverRunner(const FailoverRunner&) = delete;

  // Reads the topology once, on this thread, and fails with that read.
  Result<void> Start();
  void Stop();
  // Of somebody else's read of the topology, which may be newer than the last one here. From Start on; thread-safe.
  void Hear(std::shared_ptr<const TopologyDocument> document) { TakeDocument(std::move(document), Instant::min()); }

  FailoverStatus Status() const override;
  FailoverPlan Plan(const FailoverRequest& request) const override;
  Result<FailoverPlan> Act(const FailoverRequest& request) override;
  Result<void> AcceptLoss() override;
  Result<void> Rebuild(std::string_view database, bool dry_run) override;

 private:
  struct Worker;
  static constexpr std::size_t kWorkersMax = 512;
  static constexpr int kActAttemptsMax = 8;
  static constexpr Duration kStoodStill = std::chrono::milliseconds(300);
  static constexpr Duration kReasonToldEvery = std::chrono::seconds(1);

  void RunLooks(Worker& worker);
  void LogLook(Worker& worker, std::string why, Instant now);
  Duration LookPeriod() const;  // under the lock
  void RunOrders(Worker& worker);
  void RunExchange();
  void RunTurns();
  void Exchange();
  void StartWorkers(const TopologyDocument& document);
  void NoteRead(const Result<std::shared_ptr<const TopologyDocument>>& document);
  void TakeDocument(std::shared_ptr<const TopologyDocument> document, Instant sent);
  void Turn();
  void Replace(const TopologyDocument& next, std::int64_t revision, const std::string& why);
  Result<void> Store(const TopologyDocument& next, std::int64_t revision);
  // Of an operator's act: the controller was faster. Reads what it has stored, so that the act is looked at again.
  Result<void> TakeNewer(Result<void> refused, int attempt);
  // What there is to say of it, or nothing.
  Result<std::string> Execute(ReplicaControl& control, const DatabaseOrder& order) const;
  // Under the lock: what is known of the database afterwards.
  void EndOrder(Worker& worker, const DatabaseOrder& order, const Result<std::string>& done, Instant begin);
  bool IsRebuildWanted(const std::string& database) const;
  // A database that obeys no order for longer than `order_patience` needs somebody. Of who leads; the others have it
  // from his report.
  std::vector<std::string> Refusals();
  std::vector<std::string> RefusalsToldBy(const std::string& controller, const Sight& sight) const;
  // Whoever asks this server hears it; the log of the one that leads has it.
  void TellAttention(const std::vector<std::string>& attention, bool leads);
  Sight SightNow() const;

  const FailoverRunnerOptions options_;
  const Dependencies dependencies_;
  FailoverController controller_;  // of the thread of turns
  ReplicaLag lag_;                 // likewise

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Sight sight_;                        // guarded by mutex_
  FailoverStatus status_;              // guarded by mutex_
  std::vector<std::string> refusals_;  // guarded by mutex_: what the next report says
  bool has_news_ = false;              // guarded by mutex_
  bool stopping_ = false;              // guarded by mutex_

  std::vector<std::unique_ptr<Worker>> workers_;  // of the thread of turns, and of Start and Stop
  std::int64_t sequence_ = 0;                     // of the thread of exchange
  Instant turned_at_{};                           // of the thread of turns
  std::thread exchange_thread_;
  std::thread turn_thread_;
};

}  // namespace muster::failover
