#include "store/mariadb/group.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "base/encoding.h"
#include "base/thread_name.h"
#include "store/mariadb/upkeep.h"

namespace muster::mariadb {
namespace {

// For how long answers are counted before the threads start; what is left is counted later.
constexpr Duration kCountAtStart = std::chrono::seconds(2);
// How long a commit stands for "writing works".
constexpr Duration kGroupProbeEvery = std::chrono::seconds(1);
// Before a transaction runs again it waits for a random part of this, doubled with each attempt up to the bound.
constexpr std::uint64_t kPauseMicros = 500;
constexpr std::uint64_t kPauseMicrosMax = 50'000;

std::unexpected<Error> NotTheWriter(const std::string& where) {
  return Fail(Reason::kWritesUnavailable, where +
                                              ": this server may not write just now: the right to write moves, or the "
                                              "topology cannot be confirmed; nothing was written. Try again in a "
                                              "moment, and if that lasts see `muster topology show`");
}

// It hears of the newer one within a fraction of a second.
std::unexpected<Error> KnowsAnOlderMap() {
  Error error{Reason::kWritesUnavailable,
              "shards of the group move, and this server has not heard of the last step yet; nothing was written, try "
              "again. If that lasts, the topology is older than the databases: restore it from a newer backup"};
  error.retry_after_ms = 250;
  return std::unexpected(std::move(error));
}

std::string RandomName(Random& random) {
  std::array<std::uint8_t, 12> bytes;
  random.Fill(bytes);
  return "muster.session." + ToHex(bytes);
}

}  // namespace

GroupMetrics::GroupMetrics(MetricRegistry& registry, const MetricLabels& labels)
    : transactions(registry.AddCounter("muster_store_group_transactions_total",
                                       "Transactions that a MariaDB group was given.", labels)),
      restarts(
          registry.AddCounter("muster_store_group_restarts_total",
                              "Transactions that ran again: a deadlock, a lock wait, or a row that another one had "
                              "made.",
                              labels)),
      failures(registry.AddCounter("muster_store_group_failures_total",
                                   "Transactions that failed because of the server or the connection to it.", labels)),
      unknown(registry.AddCounter("muster_store_group_outcomes_unknown_total",
                                  "Transactions of which nobody knows whether they were committed.", labels)),
      connects(registry.AddCounter("muster_store_group_connects_total", "Connections that were opened for writing.",
                                   labels)),
      commit_seconds(registry.AddHistogram("muster_store_group_commit_seconds",
                                           "Time that COMMIT takes, with what it makes durable.", labels)) {}

Group::Group(const Settings& settings, const Dependencies& dependencies)
    : settings_(settings),
      keyring_(dependencies.keyring),
      clock_(dependencies.clock),
      random_(dependencies.random),
      logger_(dependencies.logger),
      floor_(dependencies.floor),
      cache_(dependencies.cache),
      shards_(dependencies.shards),
      lease_(dependencies.lease ? dependencies.lease : [] { return WriterLease{}; }),
      on_change_(dependencies.on_change),
      listener_(dependencies.listener),
      metrics_(dependencies.metrics, {{"group", std::to_string(settings.index)}, {"pool", settings.pool}}),
      queue_(std::make_shared<BoundedQueue<Item>>(settings.queue_max)),
      outstanding_(std::make_shared<std::atomic<std::size_t>>(0)),
      answers_(std::make_shared<AnswerShares>(settings.answers)),
      answer_count_(*answers_) {
  if (!settings_.lasts) return;
  dependencies.metrics.AddGauge("muster_store_group_announcements",
                                "Writes that wait until the caches of all centers have heard of them, or can hear.",
                                [outstanding = outstanding_] { return static_cast<double>(outstanding->load()); },
                                {{"group", std::to_string(settings.index)}, {"pool", settings.pool}});
  dependencies.metrics.AddGauge("muster_store_group_queue_length", "Transactions that wait for a connection.",
                                [queue = queue_] { return static_cast<double>(queue->size()); },
                                {{"group", std::to_string(settings.index)}, {"pool", settings.pool}});
  if (!settings_.keeps_answers) return;
  dependencies.metrics.AddGauge(
      "muster_store_group_answers_kept",
      "Answers that are kept for Idempotency-Keys (store.idempotency.answers_max), as this process knows.",
      [answers = answers_] { return static_cast<double>(answers->kept()); },
      {{"group", std::to_string(settings.index)}});
}

Group::~Group() {
  for (const auto& worker : workers_) MUSTER_CHECK(!worker->thread.joinable());
}

Result<void> Group::Start() {
  if (!workers_.empty() && workers_.front()->thread.joinable()) return {};
  while (workers_.size() < settings_.connections) {
    workers_.push_back(std::make_unique<Worker>(MemberCodec(keyring_, random_), nullptr));
  }
  Worker& first = *workers_.front();
  first.session.reset();
  MUSTER_TRY(Connect(first));
  MUSTER_TRY(MeasureClock(*first.session));
  if (settings_.keeps_answers) {
    MUSTER_TRY(answer_count_.GoOn(*first.session->connection, clock_, kCountAtStart));
  }
  Rollback(first);
  for (const auto& worker : workers_) {
    worker->thread = std::thread([this, &worker = *worker] { Loop(worker); });
    NameThread(worker->thread, settings_.pool + " " + std::to_string(settings_.index));
  }
  return {};
}

void Group::Run(Work work, ShardStore::Done done) {
  // At once: who waits for a primary that moves would wait with all others.
  if (settings_.session.place.moves()) {
    if (auto primary = settings_.session.place.Primary(Use::kWrite); !primary) {
      return done(std::unexpected(std::move(primary).error()));
    }
  }
  Item item{.run = std::move(work),
            .done = std::move(done),
            .deadline = Deadline::After(clock_, settings_.transaction_timeout)};
  const bool has_room = outstanding_->load(std::memory_order_relaxed) < settings_.queue_max;
  if (has_room && queue_->TryPush(std::move(item))) return;
  Error error{Reason::kOverloaded, "too many writes are waiting; try again later, or raise store.mariadb.queue_max"};
  error.retry_after_ms = 1000;
  if (closing_.load(std::memory_order_acquire)) {
    error = {Reason::kWritesUnavailable, "the store is closing; send the request again to the server that follows"};
  }
  item.done(std::unexpected(std::move(error)));  // NOLINT(bugprone-use-after-move): a refused push leaves it untouched
}

void Group::Loop(Worker& worker) {
  for (std::vector<Item> some; some = queue_->PopSome(1), !some.empty();) {
    if (listener_ != nullptr && !some[0].is_prepared && !listener_->IsReady()) {
      Prepare(std::move(some[0]));
      continue;
    }
    metrics_.transactions.Add();
    Attempt attempt = RunItem(worker, some[0]);
    const bool is_heard_of = attempt.to_announce.members.empty() && attempt.to_announce.keys.empty();
    if (!attempt.result || is_heard_of) {
      some[0].done(std::move(attempt.result));
    } else {
      Announce(std::move(some[0]), std::move(attempt));
    }
  }
  worker.session.reset();
}

void Group::Prepare(Item item) {
  outstanding_->fetch_add(1);
  const Deadline deadline = item.deadline;
  listener_->Prepare(deadline, [this, item = std::move(item)](Result<void> ready) mutable {
    item.is_prepared = true;
    if (!ready) {
      item.done(std::move(ready));
    } else if (!queue_->TryPush(std::move(item))) {
      // NOLINTNEXTLINE(bugprone-use-after-move): a refused push leaves it untouched
      item.done(Fail(Reason::kWritesUnavailable, "the store is closing, or too many writes wait; nothing was written"));
    }
    EndOutstanding();
  });
}

void Group::Announce(Item item, Attempt attempt) {
  outstanding_->fetch_add(1);
  listener_->Announce(std::move(attempt.to_announce), [this, done = std::move(item.done), lease = attempt.lease,
                                                       wrote = attempt.wrote](Result<void> told) mutable {
    // Seconds may have passed.
    if (told && !StillCovers(lease)) told = LeaseEnded(wrote);
    if (!told && told.error().reason == Reason::kOutcomeUnknown) metrics_.unknown.Add();
    done(std::move(told));
    EndOutstanding();
  });
}

void Group::EndOutstanding() {
  // Under the lock: who waits for the last one may end this object.
  std::lock_guard lock(closing_mutex_);
  outstanding_->fetch_sub(1);
  closed_.notify_all();
}

// Another center may have taken over before the commit, with a replica that does not have it.
std::unexpected<Error> Group::LeaseEnded(bool wrote) {
  const std::string group = "group " + settings_.session.place.Now()->name;
  if (!wrote) return NotTheWriter(group);
  return Fail(Reason::kOutcomeUnknown,
              group +
                  ": the writer's lease ended while the write was committed; send it again with the same key, or "
                  "read what became of it");
}

Group::Attempt Group::RunItem(Worker& worker, Item& item) {
  for (int number = 1;; ++number) {
    if (item.deadline.Passed(clock_)) {
      if (const Result<void> health = Health(); !health) {
        return {Fail(Reason::kWritesUnavailable, health.error().message)};
      }
      Error error{Reason::kOverloaded, "the write waited for too long for its turn; try again later"};
      error.retry_after_ms = 1000;
      return {std::unexpected(std::move(error))};
    }
    Attempt attempt = TryOnce(worker, item);
    if (!attempt.again || number >= settings_.attempts_max) return attempt;
    metrics_.restarts.Add();
    PauseBeforeAgain(number);
  }
}

Group::Attempt Group::TryOnce(Worker& worker, Item& item) {
  if (worker.session && !settings_.session.place.IsPrimary(worker.session->connection->endpoint())) {
    worker.session.reset();
  }
  const bool is_fresh = worker.session == nullptr;
  if (is_fresh) {
    if (Result<void> connected = Connect(worker); !connected) {
      NoteHealth(connected);
      return {std::move(connected)};
    }
  }
  Session& session = *worker.session;
  if (measured_at_.load(std::memory_order_relaxed) + settings_.clock_refresh <= clock_.Monotonic()) {
    // When it fails so does what follows, unless the connection was idle and has ended.
    if (const Result<void> measured = MeasureClock(session); !measured) {
      logger_.Debug("the clock of a group was not measured", {{"reason", measured.error().message}});
    }
  }
  if (unsettled_count_.load(std::memory_order_relaxed) > 0) Settle(session);

  const WriterLease lease = lease_();
  const std::shared_ptr<const ShardMap> shards = shards_();
  if (!StillCovers(lease)) return {NotTheWriter(session.connection->where())};
  Transaction transaction(session, worker.codec,
                          {.group = settings_.index,
                           .shards = *shards,
                           .clock = clock_,
                           .deadline = item.deadline,
                           .now = Now(),
                           .answers = *answers_});
  if (Attempt begun = Begin(worker, transaction, lease, shards->revision(), is_fresh); !begun.result) return begun;
  Result<void> result = item.run(transaction);
  // What a refusal was decided on is validated as what a commit was.
  if (transaction.failure() || !transaction.Validate()) return GiveUp(worker, transaction);
  if (!result) {
    Rollback(worker);
    return {std::move(result)};
  }
  return Commit(worker, transaction, lease);
}

Group::Attempt Group::Begin(Worker& worker, Transaction& transaction, const WriterLease& lease,
                            std::int64_t shards_revision, bool is_fresh) {
  const Result<Transaction::Fence> fence = transaction.Begin();
  if (!fence) {
    Attempt attempt = GiveUp(worker, transaction);
    // A connection that nobody used for a while may have ended meanwhile.
    attempt.again = attempt.again || (!is_fresh && transaction.fault() == Fault::kLost);
    return attempt;
  }
  if (fence->epoch == lease.epoch && fence->shards_revision <= shards_revision) return {};
  Rollback(worker);
  if (fence->epoch == lease.epoch) return {.result = KnowsAnOlderMap(), .again = true};
  if (fence->epoch > lease.epoch) return {NotTheWriter(worker.session->connection->where())};
  if (Result<void> raised = RaiseFence(worker, lease.epoch); !raised) return {std::move(raised)};
  return {.result = Fail(Reason::kOverloaded, "the fence was raised; try again"), .again = true};
}

// Waits until the transactions of earlier epochs have ended; those that begin later are refused.
Result<void> Group::RaiseFence(Worker& worker, Epoch epoch) {
  Connection& connection = *worker.session->connection;
  const std::string number = std::to_string(epoch.value());
  Result<void> raised =
      connection.Execute("UPDATE fence SET epoch = " + number + " WHERE id = 1 AND epoch < " + number);
  if (raised) raised = connection.Execute("COMMIT");
  if (!raised) {
    NoteHealth(raised);
    Rollback(worker);
    return raised;
  }
  logger_.Info("the fence of a group was raised", {{"group", settings_.index}, {"epoch", epoch.value()}});
  return {};
}

Group::Attempt Group::GiveUp(Worker& worker, const Transaction& transaction) {
  Attempt attempt{.result = std::unexpected(*transaction.failure())};
  const Fault fault = transaction.fault();
  attempt.again = fault == Fault::kDuplicate || fault == Fault::kConflict;
  if (fault != Fault::kNone && !attempt.again) NoteHealth(attempt.result);
  Rollback(worker);
  return attempt;
}

Group::Attempt Group::Commit(Worker& worker, const Transaction& transaction, const WriterLease& lease) {
  Connection& connection = *worker.session->connection;
  if (!StillCovers(lease)) {
    Rollback(worker);
    return {NotTheWriter(connection.where())};
  }
  const Instant started = clock_.Monotonic();
  floor_.Begin(transaction.touched_members(), transaction.touched_keys());
  if (cache_) cache_->Erase(transaction.touched_members(), transaction.touched_keys());
  const Result<void> committed = connection.Execute("COMMIT");
  if (!committed) return CommitFailed(worker, transaction, committed.error());
  floor_.End(transaction.touched_members(), transaction.touched_keys());
  if (transaction.wrote()) {
    metrics_.commit_seconds.Record(clock_.Monotonic() - started);
    NoteHealth({});
  }
  if (transaction.wrote_change() && on_change_) on_change_(settings_.index);
  if (!StillCovers(lease)) {
    if (transaction.wrote()) metrics_.unknown.Add();
    return {LeaseEnded(transaction.wrote())};
  }
  Attempt attempt{.result = {}, .lease = lease, .wrote = transaction.wrote()};
  if (listener_ != nullptr) attempt.to_announce = transaction.ToAnnounce();
  return attempt;
}

Group::Attempt Group::CommitFailed(Worker& worker, const Transaction& transaction, const Error& error) {
  const Fault fault = worker.session->connection->last_fault();
  // These roll back and say so; everything else leaves open what became of it.
  const bool is_rolled_back = fault == Fault::kConflict || fault == Fault::kReadOnly || fault == Fault::kDuplicate;
  Attempt attempt{.result = std::unexpected(error), .again = fault == Fault::kConflict};
  if (!attempt.again) NoteHealth(attempt.result);
  if (is_rolled_back || !transaction.wrote()) {
    floor_.End(transaction.touched_members(), transaction.touched_keys());
    Rollback(worker);
    return attempt;
  }
  metrics_.unknown.Add();
  attempt.result =
      Fail(Reason::kOutcomeUnknown, error.message +
                                        ": the server did not say whether the write was committed; send it again with "
                                        "the same key, or read what became of it");
  {
    std::lock_guard lock(unsettled_mutex_);
    unsettled_.push_back({worker.session->name, transaction.touched_members(), transaction.touched_keys()});
    unsettled_count_.store(unsettled_.size(), std::memory_order_relaxed);
  }
  worker.session.reset();
  return attempt;
}

void Group::Settle(Session& session) {
  std::lock_guard lock(unsettled_mutex_);
  std::erase_if(unsettled_, [&](const Unsettled& commit) {
    const Result<bool> alive = session.IsAlive(commit.session);
    if (!alive || *alive) return false;
    floor_.End(commit.members, commit.keys);
    return true;
  });
  unsettled_count_.store(unsettled_.size(), std::memory_order_relaxed);
}

Result<void> Group::Connect(Worker& worker) {
  MUSTER_ASSIGN(worker.session, Session::Open(settings_.session, RandomName(random_)));
  metrics_.connects.Add();
  return {};
}

// A session that cannot roll back is closed, which makes the server do so.
void Group::Rollback(Worker& worker) {
  Connection& connection = *worker.session->connection;
  if (!connection.is_lost() && connection.Execute("ROLLBACK")) return;
  worker.session.reset();
}

Result<void> Group::MeasureClock(Session& session) {
  const Timestamp before = clock_.Now();
  MUSTER_ASSIGN(const Timestamp there, session.ReadClock());
  const Timestamp after = clock_.Now();
  const Duration offset = there - (before + (after - before) / 2);
  offset_micros_.store(offset.count(), std::memory_order_relaxed);
  measured_at_.store(clock_.Monotonic(), std::memory_order_relaxed);
  return {};
}

void Group::PauseBeforeAgain(int attempt) {
  const std::uint64_t most = std::min(kPauseMicrosMax, kPauseMicros << std::min(attempt, 20));
  std::unique_lock lock(closing_mutex_);
  closed_.wait_for(lock, Duration(static_cast<std::int64_t>(random_.Below(most))), [this] { return closing_.load(); });
}

bool Group::HoldsLease() const { return StillCovers(lease_()); }

bool Group::StillCovers(const WriterLease& lease) const { return lease_().Covers(lease.epoch, clock_.Monotonic()); }

void Group::NoteHealth(const Result<void>& result) {
  if (result) {
    committed_at_.store(clock_.Monotonic(), std::memory_order_relaxed);
  } else {
    metrics_.failures.Add();
  }
  if (result.has_value() != failing_.load(std::memory_order_relaxed)) return;
  std::lock_guard lock(health_mutex_);
  if (result.has_value() != failing_.load(std::memory_order_relaxed)) return;
  if (result) {
    logger_.Info("writes resumed", {{"group", settings_.index}});
  } else {
    logger_.Error("writes failed", {{"group", settings_.index}, {"reason", result.error().message}});
  }
  unhealthy_ = result ? std::nullopt : std::optional(result.error());
  failing_.store(!result, std::memory_order_relaxed);
}

Result<void> Group::Health() {
  MUSTER_TRY(settings_.session.place.Primary(Use::kWrite));
  const bool failing = failing_.load(std::memory_order_relaxed);
  const bool is_old = committed_at_.load(std::memory_order_relaxed) + kGroupProbeEvery <= clock_.Monotonic();
  if ((failing || is_old) && !probing_.exchange(true)) {
    Run(
        [](Transaction& transaction) -> Result<void> {
          transaction.NoteWrite();
          return transaction.Note(
              transaction.session().connection->Execute("UPDATE meta SET value = '' WHERE name = 'probe'"));
        },
        [this](const Result<void>&) { probing_.store(false); });
  }
  if (!failing) return {};
  std::lock_guard lock(health_mutex_);
  if (unhealthy_) return std::unexpected(*unhealthy_);
  return {};
}

void Group::Close() {
  {
    std::lock_guard lock(closing_mutex_);
    closing_.store(true, std::memory_order_release);
  }
  closed_.notify_all();
  queue_->Close();
  for (const auto& worker : workers_) {
    if (worker->thread.joinable()) worker->thread.join();
  }
  std::unique_lock lock(closing_mutex_);
  closed_.wait(lock, [this] { return outstanding_->load() == 0; });
}

}  // namespace muster::mariadb
