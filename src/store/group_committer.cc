#include "store/group_committer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/thread_name.h"
#include "store/schema.h"

namespace muster {
namespace {

// What an operator is told of; a group takes milliseconds.
constexpr Duration kSlowGroup = std::chrono::seconds(1);

}  // namespace

WriterMetrics::WriterMetrics(MetricRegistry& registry, const MetricLabels& labels)
    : groups(registry.AddCounter("muster_store_commit_groups_total",
                                 "Commits: groups of transactions made durable by one flush.", labels)),
      transactions(registry.AddCounter("muster_store_transactions_total",
                                       "Transactions that were run; divided by commit groups, the size of a group.",
                                       labels)),
      failures(registry.AddCounter("muster_store_commit_failures_total",
                                   "Groups that could not be committed: full disk, I/O error.", labels)),
      reruns(registry.AddCounter(
          "muster_store_group_reruns_total",
          "Groups that were rolled back and run one by one, because a transaction failed after it wrote.", labels)),
      commit_seconds(registry.AddHistogram("muster_store_commit_seconds",
                                           "Time to make a group durable, without running its transactions.", labels)),
      checkpoint_seconds(registry.AddHistogram("muster_store_checkpoint_seconds",
                                               "Time to move the write-ahead log into its file.", labels)) {}

GroupCommitter::GroupCommitter(std::unique_ptr<FileTransaction> file, std::string name, const Settings& settings,
                               const Dependencies& dependencies)
    : file_(std::move(file)),
      name_(std::move(name)),
      settings_(settings),
      clock_(dependencies.clock),
      logger_(dependencies.logger),
      floor_(dependencies.floor),
      cache_(dependencies.cache),
      positions_(dependencies.positions),
      metrics_(dependencies.metrics, {{"file", name_}}),
      shared_(std::make_shared<Shared>(settings.queue_max)) {
  shared_->members.store(file_->member_count());
  file_->UsePositions(positions_);
  const MetricLabels labels = {{"file", name_}};
  dependencies.metrics.AddGauge(
      "muster_store_queue_length", "Transactions that wait for the writer.",
      [shared = shared_] { return static_cast<double>(shared->queue.size()); }, labels);
  dependencies.metrics.AddGauge(
      "muster_store_wal_bytes", "Length of the write-ahead log after the last commit.",
      [shared = shared_] {
        return static_cast<double>(shared->wal_pages.load(std::memory_order_relaxed)) * kPageBytes;
      },
      labels);
  dependencies.metrics.AddGauge(
      "muster_store_members", "Members in the file.",
      [shared = shared_] { return static_cast<double>(shared->members.load(std::memory_order_relaxed)); }, labels);
  dependencies.metrics.AddGauge(
      "muster_store_answers_kept", "Answers that are kept for Idempotency-Keys (store.idempotency.answers_max).",
      [answers = file_->answers()] { return static_cast<double>(answers->kept()); }, labels);
  answerer_ = std::thread([this] {
    for (std::vector<std::vector<Item>> some; some = answers_.PopSome(1), !some.empty();) Answer(std::move(some[0]));
  });
  NameThread(answerer_, "reply " + name_);
  writer_ = std::thread([this] { Loop(); });
  NameThread(writer_, "write " + name_);
}

GroupCommitter::~GroupCommitter() { MUSTER_CHECK(!writer_.joinable()); }

void GroupCommitter::Run(Transaction transaction, ShardStore::Done done) {
  Item item{.run = std::move(transaction), .done = std::move(done), .result = {}};
  if (shared_->queue.TryPush(std::move(item))) return;
  Error error{Reason::kOverloaded, "too many writes are waiting; try again later, or raise store.sqlite.queue_max"};
  error.retry_after_ms = 1000;
  if (closing_.load(std::memory_order_acquire)) {
    error = {Reason::kWritesUnavailable, "the store is closing; send the request again to the server that follows"};
  }
  item.done(std::unexpected(std::move(error)));  // NOLINT(bugprone-use-after-move): a refused push leaves it untouched
}

void GroupCommitter::Loop() {
  for (;;) {
    std::vector<Item> group = shared_->queue.PopSome(settings_.group_max);
    if (group.empty()) break;
    const std::int64_t position = file_->last_position();
    const Instant began = clock_.Monotonic();
    RunGroup(group);
    if (const Duration took = clock_.Monotonic() - began; took >= kSlowGroup) {
      logger_.Warning("a group of writes took long; is the disk busy?",
                      {{"file", name_},
                       {"transactions", group.size()},
                       {"milliseconds", std::chrono::duration_cast<std::chrono::milliseconds>(took).count()}});
    }
    if (file_->last_position() != position) positions_.Notify();
    shared_->members.store(file_->member_count(), std::memory_order_relaxed);
    shared_->wal_pages.store(file_->wal_pages(), std::memory_order_relaxed);
    HandOver(std::move(group));
    MaybeCheckpoint(checkpoint_at_, Database::Checkpoint::kRestart);
  }
  MaybeCheckpoint(0, Database::Checkpoint::kTruncate);
}

void GroupCommitter::HandOver(std::vector<Item> group) {
  // One alone is answered sooner than handed over.
  if (group.size() > 1 && answers_.TryPush(std::move(group))) return;
  Answer(std::move(group));  // NOLINT(bugprone-use-after-move): a refused push leaves it untouched
}

void GroupCommitter::Answer(std::vector<Item> group) {
  for (Item& item : group) item.done(std::move(item.result));
}

void GroupCommitter::RunGroup(std::vector<Item>& group) {
  metrics_.transactions.Add(group.size());
  if (TryGroup(group)) return;
  metrics_.reruns.Add();
  for (Item& item : group) MUSTER_CHECK(TryGroup({&item, 1}));
}

bool GroupCommitter::TryGroup(std::span<Item> group) {
  if (Result<void> begun = file_->Begin(); !begun) {
    NoteHealth(begun);
    FailAll(group, begun.error());
    return true;
  }
  bool wrote = false;
  for (Item& item : group) {
    file_->StartRun();
    item.result = item.run(*file_);
    if (file_->failure_is_of_file()) {
      const Error error = *file_->failure();
      file_->Rollback();
      NoteHealth(std::unexpected(error));
      FailAll(group, error);
      return true;
    }
    // A verb that failed must not be committed, even if the transaction made nothing of it.
    if (item.result && file_->failure()) item.result = std::unexpected(*file_->failure());
    if (!item.result && (file_->wrote() || !file_->is_open())) {
      file_->Rollback();
      return group.size() == 1;
    }
    wrote = wrote || file_->wrote();
  }
  Result<void> committed = CommitTouched();
  if (wrote) NoteHealth(committed);
  if (!committed) FailAll(group, committed.error());
  return true;
}

Result<void> GroupCommitter::CommitTouched() {
  const std::vector<MemberId>& members = file_->touched_members();
  const std::vector<IdentityKey>& keys = file_->touched_keys();
  const Instant started = clock_.Monotonic();
  floor_.Begin(members, keys);
  if (cache_) cache_->Erase(members, keys);
  Result<void> committed = file_->Commit();
  floor_.End(members, keys);
  metrics_.commit_seconds.Record(clock_.Monotonic() - started);
  metrics_.groups.Add();
  return committed;
}

void GroupCommitter::FailAll(std::span<Item> group, const Error& error) {
  for (Item& item : group) item.result = std::unexpected(error);
}

void GroupCommitter::NoteHealth(const Result<void>& commit) {
  if (commit) {
    committed_at_.store(clock_.Monotonic(), std::memory_order_relaxed);
  } else {
    metrics_.failures.Add();
  }
  if (commit.has_value() != failing_.load(std::memory_order_relaxed)) return;
  if (commit) {
    logger_.Info("writes resumed", {{"file", name_}});
  } else {
    logger_.Error("writes failed", {{"file", name_}, {"reason", commit.error().message}});
  }
  std::lock_guard lock(health_mutex_);
  unhealthy_ = commit ? std::nullopt : std::optional(commit.error());
  failing_.store(!commit, std::memory_order_relaxed);
}

Result<void> GroupCommitter::Health() {
  const bool failing = failing_.load(std::memory_order_relaxed);
  const bool is_old = committed_at_.load(std::memory_order_relaxed) + kProbeEvery <= clock_.Monotonic();
  if ((failing || is_old) && !probing_.exchange(true)) {
    Run([](FileTransaction& file) { return file.WriteProbe(); },
        [this](const Result<void>&) { probing_.store(false); });
  }
  if (!failing) return {};
  std::lock_guard lock(health_mutex_);
  if (unhealthy_) return std::unexpected(*unhealthy_);
  return {};
}

void GroupCommitter::MaybeCheckpoint(std::int64_t pages_max, Database::Checkpoint kind) {
  if (file_->wal_pages() < pages_max) return;
  const Instant started = clock_.Monotonic();
  const Result<bool> done = file_->RunCheckpoint(kind);
  metrics_.checkpoint_seconds.Record(clock_.Monotonic() - started);
  if (done && *done) {
    checkpoint_at_ = kWalPagesMax;
    shared_->wal_pages.store(0, std::memory_order_relaxed);
    return;
  }
  // Readers or a full disk are in the way. Each further try costs a wait, so it comes when the log has doubled.
  checkpoint_at_ = std::max(kWalPagesMax, file_->wal_pages() * 2);
  if (!done)
    logger_.Warning("the write-ahead log could not be moved into its file",
                    {{"file", name_}, {"reason", done.error().message}});
}

void GroupCommitter::Close() {
  closing_.store(true, std::memory_order_release);
  shared_->queue.Close();
  if (writer_.joinable()) writer_.join();
  answers_.Close();
  if (answerer_.joinable()) answerer_.join();
}

}  // namespace muster
