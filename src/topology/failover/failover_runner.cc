#include "topology/failover/failover_runner.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/thread_name.h"
#include "topology/failover/loss_detector.h"

namespace muster::failover {

struct FailoverRunner::Worker {
  std::string name;
  std::unique_ptr<ReplicaControl> looks;
  std::unique_ptr<ReplicaControl> orders;
  std::optional<DatabaseOrder> order = std::nullopt;  // guarded by the runner's mutex_
  bool looks_at_once = false;                         // likewise
  // Likewise: since when it obeys no order, when it was last tried, and why it does not.
  std::optional<Instant> refused_since = std::nullopt;
  Instant refused_at = {};
  bool is_told = false;  // for so long that whoever asks hears it
  std::string refusal = {};
  // Of the thread that looks: why the last look that was told of was not answered; empty: it was.
  std::string silent_because = {};
  Instant told_at = {};
  std::thread look_thread;
  std::thread order_thread;
};

FailoverRunner::FailoverRunner(FailoverRunnerOptions options, Dependencies dependencies)
    : options_(std::move(options)), dependencies_(std::move(dependencies)), controller_(options_.times) {}

FailoverRunner::~FailoverRunner() { MUSTER_CHECK(!turn_thread_.joinable()); }

Result<void> FailoverRunner::Start() {
  const Instant sent = dependencies_.clock->Monotonic();
  MUSTER_ASSIGN(auto document, dependencies_.store->Read());
  sequence_ = static_cast<std::int64_t>(dependencies_.random->Below(std::uint64_t{1} << 62));
  sight_ = {.self = options_.name, .center = options_.center, .awake_since = sent};
  turned_at_ = sent;
  stopping_ = false;
  TakeDocument(std::move(document), sent);
  exchange_thread_ = std::thread([this] { RunExchange(); });
  NameThread(exchange_thread_, "observe");
  turn_thread_ = std::thread([this] { RunTurns(); });
  NameThread(turn_thread_, "failover");
  return {};
}

void FailoverRunner::Stop() {
  if (!turn_thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  turn_thread_.join();
  exchange_thread_.join();
  for (const auto& worker : workers_) {
    worker->look_thread.join();
    worker->order_thread.join();
  }
  workers_.clear();
}

void FailoverRunner::TakeDocument(std::shared_ptr<const TopologyDocument> document, Instant sent) {
  std::lock_guard lock(mutex_);
  // One that went back is not taken up (topology_watcher.h).
  if (sight_.document && document->revision < sight_.document->revision) return;
  has_news_ = has_news_ || !sight_.document || document->revision != sight_.document->revision;
  sight_.document = std::move(document);
  sight_.document_at = std::max(sight_.document_at, sent);
  changed_.notify_all();
}

void FailoverRunner::NoteRead(const Result<std::shared_ptr<const TopologyDocument>>& document) {
  std::lock_guard lock(mutex_);
  sight_.document_error = document ? std::string() : document.error().message;
  if (!document || !sight_.document || (*document)->revision >= sight_.document->revision) return;
  sight_.document_error = "its revision went back from " + std::to_string(sight_.document->revision) + " to " +
                          std::to_string((*document)->revision) + ": a backup of etcd was restored; " +
                          std::string(kAfterRestore);
}

void FailoverRunner::StartWorkers(const TopologyDocument& document) {
  for (const GroupRecord& group : document.groups) {
    for (const DatabaseRecord& database : group.databases) {
      const bool is_there =
          std::ranges::any_of(workers_, [&](const auto& each) { return each->name == database.name; });
      if (is_there || workers_.size() >= kWorkersMax) continue;
      auto& worker = *workers_.emplace_back(std::make_unique<Worker>());
      worker.name = database.name;
      worker.looks = dependencies_.make_control(group, database);
      worker.orders = dependencies_.make_control(group, database);
      {
        std::lock_guard lock(mutex_);
        sight_.databases[database.name];
      }
      worker.look_thread = std::thread([this, &worker] { RunLooks(worker); });
      NameThread(worker.look_thread, "look " + database.name);
      worker.order_thread = std::thread([this, &worker] { RunOrders(worker); });
      NameThread(worker.order_thread, "order " + database.name);
    }
  }
}

void FailoverRunner::RunLooks(Worker& worker) {
  while (true) {
    const Instant sent = dependencies_.clock->Monotonic();
    auto state = worker.looks->Look(Deadline::After(*dependencies_.clock, options_.order_timeout));
    LogLook(worker, state ? std::string() : state.error().message, sent);
    std::unique_lock lock(mutex_);
    if (state) {
      DatabaseSight& seen = sight_.databases[worker.name];
      has_news_ = has_news_ || seen.state != *state;
      if (seen.obeyed_since == Instant::max() || seen.state.obeyed != state->obeyed) {
        seen.obeyed_since = dependencies_.clock->Monotonic();
      }
      seen.state = *std::move(state);
      seen.looked_at = sent;
      changed_.notify_all();
    }
    while (!stopping_ && !worker.looks_at_once) {
      const Duration rest = sent + LookPeriod() - dependencies_.clock->Monotonic();
      if (rest <= Duration(0)) break;
      changed_.wait_for(lock, rest);
    }
    worker.looks_at_once = false;
    if (stopping_) return;
  }
}

// Why may change: first its sessions ended, and now its account is refused.
void FailoverRunner::LogLook(Worker& worker, std::string why, Instant now) {
  const bool is_change = why.empty() != worker.silent_because.empty();
  if (!is_change && (why == worker.silent_because || now - worker.told_at < kReasonToldEvery)) return;
  worker.told_at = now;
  worker.silent_because = std::move(why);
  if (worker.silent_because.empty()) {
    dependencies_.logger->Info("a database answers again", {{"database", worker.name}});
  } else {
    dependencies_.logger->Warning("a database does not answer",
                                  {{"database", worker.name}, {"error", worker.silent_because}});
  }
}

Duration FailoverRunner::LookPeriod() const {
  const bool is_awaited = sight_.document->failover && status_.leads;
  return is_awaited ? options_.look_period_under_way : options_.look_period;
}

void FailoverRunner::RunOrders(Worker& worker) {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || worker.order; });
    if (stopping_) return;
    const DatabaseOrder order = *worker.order;
    lock.unlock();
    const Instant begin = dependencies_.clock->Monotonic();
    const Result<std::string> done = Execute(*worker.orders, order);
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(dependencies_.clock->Monotonic() - begin);
    const std::string text = order.Describe();
    if (done) {
      dependencies_.logger->Info("an order was obeyed", {{"database", order.database},
                                                         {"order", text},
                                                         {"revision", order.revision},
                                                         {"took_ms", took.count()},
                                                         {"result", *done}});
    } else {
      dependencies_.logger->Warning("an order was not obeyed", {{"database", order.database},
                                                                {"order", text},
                                                                {"revision", order.revision},
                                                                {"error", done.error().message}});
    }
    lock.lock();
    EndOrder(worker, order, done, begin);
  }
}

void FailoverRunner::EndOrder(Worker& worker, const DatabaseOrder& order, const Result<std::string>& done,
                              Instant begin) {
  if (done || begin - worker.refused_at > options_.order_patience) worker.refused_since.reset();
  if (!done) {
    worker.refused_since = worker.refused_since.value_or(begin);
    worker.refused_at = dependencies_.clock->Monotonic();
    worker.refusal = order.database + " does not obey the order '" + order.Describe() + "': " + done.error().message;
  }
  DatabaseSight& seen = sight_.databases[worker.name];
  // What may be otherwise the next time is tried again.
  if (order.kind == OrderKind::kRebuild && !done && done.error().reason != Reason::kWritesUnavailable) {
    seen.failed_rebuild = {.revision = order.revision, .why = done.error().message};
  }
  worker.order.reset();
  worker.looks_at_once = true;
  seen.is_busy = false;
  changed_.notify_all();
}

bool FailoverRunner::IsRebuildWanted(const std::string& database) const {
  std::lock_guard lock(mutex_);
  if (stopping_ || sight_.document->failover) return false;
  return std::ranges::any_of(sight_.document->groups, [&](const GroupRecord& group) {
    const DatabaseRecord* const record = group.Find(database);
    return record != nullptr && record->is_being_rebuilt();
  });
}

Result<std::string> FailoverRunner::Execute(ReplicaControl& control, const DatabaseOrder& order) const {
  const Deadline deadline = Deadline::After(*dependencies_.clock, options_.order_timeout);
  Result<void> done;
  switch (order.kind) {
    case OrderKind::kStopReceiving:
      done = control.StopReceiving(order.revision, deadline);
      break;
    case OrderKind::kFollow:
      done = control.Follow(order.revision, order.source, order.acknowledges, deadline);
      break;
    case OrderKind::kPromote:
      done = control.Promote(order.revision, order.waits, deadline);
      break;
    case OrderKind::kGovern:
      done = control.Govern(order.revision, order.primary, deadline);
      break;
    case OrderKind::kRebuild:
      return control.Rebuild(order.revision, order.source, [&] { return IsRebuildWanted(order.database); });
  }
  MUSTER_TRY(std::move(done));
  return std::string();
}

void FailoverRunner::RunExchange() {
  while (true) {
    const Instant sent = dependencies_.clock->Monotonic();
    auto document = dependencies_.store->Read();
    NoteRead(document);
    if (document) TakeDocument(*std::move(document), sent);
    Exchange();
    const Duration rest = sent + options_.exchange_period - dependencies_.clock->Monotonic();
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, rest, [&] { return stopping_; });
    if (stopping_) return;
  }
}

void FailoverRunner::Exchange() {
  ObserverReport own{.observer = options_.name,
                     .center = options_.center,
                     .sequence = ++sequence_,
                     .controls = options_.controls,
                     .reaches = ReachedDatabases(SightNow(), options_.times)};
  {
    std::lock_guard lock(mutex_);
    own.refusals = refusals_;
  }
  const Instant sent = dependencies_.clock->Monotonic();
  const auto reports = dependencies_.board->Exchange(own);
  std::lock_guard lock(mutex_);
  if (!reports) {
    sight_.board_since = Instant::min();
    return;
  }
  TakeReports(sight_, *reports, sent);
}

Sight FailoverRunner::SightNow() const {
  std::lock_guard lock(mutex_);
  Sight sight = sight_;
  sight.now = dependencies_.clock->Monotonic();
  sight.wall = dependencies_.clock->Now();
  return sight;
}

void FailoverRunner::RunTurns() {
  while (true) {
    Turn();
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, options_.turn_period, [&] { return stopping_ || has_news_; });
    has_news_ = false;
    if (stopping_) return;
  }
}

void FailoverRunner::Turn() {
  const Instant now = dependencies_.clock->Monotonic();
  if (now - turned_at_ > kStoodStill) {
    std::lock_guard lock(mutex_);
    sight_.awake_since = now;
  }
  const Sight sight = SightNow();
  StartWorkers(*sight.document);
  ControllerTurn turn = controller_.Decide(sight);
  lag_.Note(sight);
  const bool leads = turn.leads && options_.controls;
  const std::string controller = ControllerOf(sight, options_.times);
  const std::vector<std::string> refusals = leads ? Refusals() : RefusalsToldBy(controller, sight);
  turn.attention.insert(turn.attention.end(), refusals.begin(), refusals.end());
  TellAttention(turn.attention, leads);
  {
    std::lock_guard lock(mutex_);
    refusals_ = leads ? refusals : std::vector<std::string>();
    if (refusals_.size() > kRefusalsMax) refusals_.resize(kRefusalsMax);
    status_.has_all_before = lag_.has_all_before();
    status_.leads = leads;
    status_.controller = controller;
    status_.verdict = turn.verdict;
  }
  if (leads) {
    for (const auto& worker : workers_) {
      const auto order = std::ranges::find(turn.orders, worker->name, &DatabaseOrder::database);
      if (order == turn.orders.end()) continue;
      std::lock_guard lock(mutex_);
      worker->order = *order;
      sight_.databases[worker->name].is_busy = true;
    }
    changed_.notify_all();
    if (turn.next) Replace(*turn.next, sight.document->revision, turn.why);
  }
  turned_at_ = dependencies_.clock->Monotonic();
  if (turned_at_ - now <= kStoodStill) return;
  std::lock_guard lock(mutex_);
  sight_.turn_stood_still_until = turned_at_;
}

std::vector<std::string> FailoverRunner::Refusals() {
  const Instant now = dependencies_.clock->Monotonic();
  std::vector<std::string> refusals;
  std::lock_guard lock(mutex_);
  // What is undone for it after some seconds is told of sooner, and after that.
  const Duration patience = sight_.document->failover ? options_.order_patience_under_way : options_.order_patience;
  for (const auto& worker : workers_) {
    const bool is_tried = worker->refused_since && now - worker->refused_at <= options_.order_patience;
    worker->is_told = is_tried && (worker->is_told || now - *worker->refused_since >= patience);
    if (worker->is_told) refusals.push_back(worker->refusal);
  }
  return refusals;
}

std::vector<std::string> FailoverRunner::RefusalsToldBy(const std::string& controller, const Sight& sight) const {
  for (const ReportSight& each : sight.reports) {
    if (each.report.observer != controller) continue;
    if (sight.IsFresh(each, options_.times.report_fresh)) return each.report.refusals;
  }
  return {};
}

void FailoverRunner::TellAttention(const std::vector<std::string>& attention, bool leads) {
  std::vector<std::string> before;
  {
    std::lock_guard lock(mutex_);
    before = std::exchange(status_.attention, attention);
  }
  for (const std::string& text : attention) {
    if (leads && std::ranges::count(before, text) == 0) {
      dependencies_.logger->Warning("the failover controller needs somebody", {{"what", text}});
    }
  }
}

Result<void> FailoverRunner::Store(const TopologyDocument& next, std::int64_t revision) {
  auto stored = dependencies_.store->Update([&](TopologyDocument& document) -> Result<void> {
    if (document.revision != revision) {
      return Fail(Reason::kStateConflict,
                  "the topology has changed meanwhile; look at it again (`muster topology show`)");
    }
    document = next;
    return {};
  });
  if (!stored) return Fail(std::move(stored).error());
  // It was confirmed by being stored; when the request was sent is not known better than by what is in sight.
  TakeDocument(*std::move(stored), Instant::min());
  return {};
}

void FailoverRunner::Replace(const TopologyDocument& next, std::int64_t revision, const std::string& why) {
  const Result<void> stored = Store(next, revision);
  if (stored) {
    dependencies_.logger->Info("the topology goes on", {{"what", why}, {"revision", revision + 1}});
  } else if (stored.error().reason != Reason::kStateConflict) {
    dependencies_.logger->Warning("the topology could not be changed",
                                  {{"what", why}, {"error", stored.error().message}});
  }
}

FailoverPlan FailoverRunner::Plan(const FailoverRequest& request) const {
  return PlanFailover(SightNow(), request, options_.times);
}

Result<FailoverPlan> FailoverRunner::Act(const FailoverRequest& request) {
  for (int attempt = 1;; ++attempt) {
    const Sight sight = SightNow();
    FailoverPlan plan = PlanFailover(sight, request, options_.times);
    if (!plan.is_possible()) return Fail(plan.AsError());
    auto stored = Store(BeginFailover(sight, plan, request, options_.times), sight.document->revision);
    if (stored) return plan;
    MUSTER_TRY(TakeNewer(std::move(stored), attempt));
  }
}

Result<void> FailoverRunner::AcceptLoss() {
  for (int attempt = 1;; ++attempt) {
    const Sight sight = SightNow();
    MUSTER_ASSIGN(const TopologyDocument next, AcceptLossOf(sight, options_.times));
    auto stored = Store(next, sight.document->revision);
    if (stored) return {};
    MUSTER_TRY(TakeNewer(std::move(stored), attempt));
  }
}

Result<void> FailoverRunner::Rebuild(std::string_view database, bool dry_run) {
  for (int attempt = 1;; ++attempt) {
    const Sight sight = SightNow();
    MUSTER_ASSIGN(const TopologyDocument next, AskForRebuild(sight, database, options_.times));
    if (dry_run || next == *sight.document) return {};
    auto stored = Store(next, sight.document->revision);
    if (stored) return {};
    MUSTER_TRY(TakeNewer(std::move(stored), attempt));
  }
}

Result<void> FailoverRunner::TakeNewer(Result<void> refused, int attempt) {
  if (refused.error().reason != Reason::kStateConflict || attempt == kActAttemptsMax) return refused;
  const Instant sent = dependencies_.clock->Monotonic();
  MUSTER_ASSIGN(auto document, dependencies_.store->Read());
  TakeDocument(std::move(document), sent);
  return {};
}

FailoverStatus FailoverRunner::Status() const {
  std::lock_guard lock(mutex_);
  FailoverStatus status = status_;
  status.document = sight_.document;
  status.databases = sight_.databases;
  status.document_at = sight_.document_at;
  status.now = dependencies_.clock->Monotonic();
  return status;
}

}  // namespace muster::failover
