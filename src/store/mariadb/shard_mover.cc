#include "store/mariadb/shard_mover.h"

#include <algorithm>
#include <future>
#include <utility>

#include "base/check.h"
#include "base/thread_name.h"
#include "store/mariadb/topology_placement.h"
#include "topology/shard_map.h"
#include "topology/shard_move.h"
#include "topology/writer_lease.h"

namespace muster::mariadb {
namespace {

constexpr Duration kMoverLooksEvery = std::chrono::milliseconds(100);
// Whoever has waited for a look connects to where the sight before it said.
static_assert(kMoverLooksEvery > 2 * TopologyPlacement::kFreshFor);
constexpr Duration kMoverTriesAgainAfter = std::chrono::seconds(1);
constexpr Duration kMoverLooksSoon = std::chrono::milliseconds(10);
// Rounds of copying before a batch is fenced: as many as it takes until little differs, and no more.
constexpr int kCopyRoundsMax = 8;
constexpr std::uint64_t kFewRows = 50;
// Fences that were too slow in a row, after which an operator has to say what now.
constexpr int kSlowFencesMax = 5;

std::uint32_t IndexOf(const TopologyDocument& document, const std::string& group) {
  return static_cast<std::uint32_t>(std::ranges::find(document.groups, group, &GroupRecord::name) -
                                    document.groups.begin());
}

// Calls `visit` for each, until one fails.
template <typename Visit>
Result<void> ForEachShard(const ShardSet& shards, Visit visit) {
  for (std::uint16_t shard = 0; shard < kShardCount; ++shard) {
    if (shards[shard]) MUSTER_TRY(visit(ShardId(shard)));
  }
  return {};
}

}  // namespace

ShardMover::ShardMover(ShardMoverOptions options, LaneMaker make_lane, std::vector<SessionSettings> sessions,
                       const Dependencies& dependencies)
    : options_(std::move(options)),
      clock_(dependencies.clock),
      logger_(dependencies.logger),
      rows_(dependencies.metrics.AddCounter("muster_store_move_rows_total",
                                            "Rows of shards that this process has copied between groups.")),
      batches_(dependencies.metrics.AddCounter("muster_store_move_batches_total",
                                               "Batches of shards that this process has switched to another group.")),
      fences_taken_back_(dependencies.metrics.AddCounter(
          "muster_store_move_fences_taken_back_total",
          "Batches that took writes again because they could not be switched in time.")),
      fence_seconds_(dependencies.metrics.AddHistogram("muster_store_move_fence_seconds",
                                                       "How long writes to a batch of shards were refused.")),
      make_lane_(std::move(make_lane)),
      sessions_(std::move(sessions)) {}

ShardMover::~ShardMover() { Stop(); }

void ShardMover::Start() {
  if (thread_.joinable()) return;
  thread_ = std::thread([this] { Run(); });
  NameThread(thread_, "shard mover");
}

void ShardMover::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_asked_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool ShardMover::Wait(Duration at_most) {
  std::unique_lock lock(mutex_);
  stop_asked_.wait_for(lock, at_most, [this] { return stopping_.load(); });
  return !stopping_;
}

void ShardMover::Run() {
  Duration pause = kMoverLooksEvery;
  while (Wait(pause)) {
    const ShardMoverOptions::Sight sight = options_.sight();
    const bool acts = sight.leads && sight.document && sight.document->shard_move && !sight.document->failover;
    pause = kMoverLooksEvery;
    if (!acts) {
      moving_.reset();
      continue;
    }
    // The primaries are others: with the next look connections go there, and what was compared before says nothing.
    if (sight.document->epoch != std::exchange(epoch_, sight.document->epoch)) {
      moving_.reset();
      continue;
    }
    const Result<void> turn = Turn();
    Note(turn);
    if (turn) {
      pause = Duration(0);
    } else {
      // What of it was done is not known: the next term waits for it.
      if (moving_ && moving_->copy) moving_.reset();
      pause = kMoverTriesAgainAfter;
    }
  }
  moving_.reset();
}

void ShardMover::Note(const Result<void>& turn) {
  const std::string reason = turn ? "" : turn.error().message;
  if (!turn && reason != failing_) logger_.Warning("the move of shards waits", {{"reason", reason}});
  failing_ = reason;
}

Result<void> ShardMover::Turn() {
  MUSTER_ASSIGN(const auto document, options_.topology->Read());
  if (!document->shard_move || document->epoch != epoch_) {
    // It has ended, or a failover has, and this process has not heard of that.
    Wait(kMoverLooksEvery);
    return {};
  }
  // What the databases ask of everybody they ask of this process, too.
  if (const auto seen = options_.sight().document; !seen || seen->shards_revision < document->shards_revision) {
    Wait(kMoverLooksSoon);
    return {};
  }
  const ShardMoveRecord& move = *document->shard_move;
  if (options_.on_step) options_.on_step(std::string(NameOf(move.step)));
  if (!moving_ || moving_->term != move.term) return TakeTerm(*document);
  if (move.step == ShardMoveStep::kSwitched) return AwaitLeases(*document);
  if (!moving_->copy) MUSTER_TRY(TellTerm(*document));
  switch (move.step) {
    case ShardMoveStep::kCopying:
      return CopyBatch(*document);
    case ShardMoveStep::kFenced:
      return Fence(*document);
    case ShardMoveStep::kCleaning:
      return Clean(*document);
    case ShardMoveStep::kUndoing:
      return Undo(*document);
    case ShardMoveStep::kSwitched:
      break;
  }
  return {};
}

std::unique_ptr<ShardMover::End> ShardMover::MakeEnd(std::uint32_t group) const {
  return std::make_unique<End>(group, make_lane_(group), PrimaryLink(sessions_[group], Use::kWrite));
}

Result<void> ShardMover::TakeTerm(const TopologyDocument& document) {
  moving_.reset();
  std::int64_t term = 0;
  MUSTER_TRY(Change([&](TopologyDocument& changed) -> Result<void> {
    if (!changed.shard_move) return Fail(Reason::kStateConflict, "the move of shards has ended");
    ShardMoveRecord& move = *changed.shard_move;
    term = changed.revision + 1;
    move.mover = options_.name;
    move.term = term;
    if (move.step == ShardMoveStep::kFenced) move.step = ShardMoveStep::kCopying;
    return {};
  }));
  moving_ = Moving{.term = term};
  logger_.Info("this process moves shards", {{"from", document.shard_move->from},
                                             {"to", document.shard_move->to},
                                             {"step", NameOf(document.shard_move->step)},
                                             {"term", term}});
  return {};
}

Result<void> ShardMover::TellTerm(const TopologyDocument& document) {
  const std::uint32_t from = IndexOf(document, document.shard_move->from);
  const std::uint32_t to = IndexOf(document, document.shard_move->to);
  if (std::max(from, to) >= sessions_.size()) return GroupIsNew(std::max(from, to), Use::kWrite);
  moving_->from = MakeEnd(from);
  moving_->to = MakeEnd(to);
  for (End* const end : {moving_->from.get(), moving_->to.get()}) {
    MUSTER_TRY(end->lane->Start());
    MUSTER_TRY(Raise(*end, "move_term", moving_->term));
  }
  moving_->copy = std::make_unique<ShardCopy>(
      ShardCopy::Ends{.from = moving_->from->link,
                      .to = moving_->to->link,
                      .write = [this](const Work& work) { return RunUnderTerm(*moving_->to, work); },
                      .go_on = [this] { return GoOn(); }});
  return {};
}

Result<void> ShardMover::GoOn() const {
  if (stopping_) return Fail(Reason::kWritesUnavailable, "this server is stopping");
  if (clock_.Monotonic() >= fence_until_) {
    return Fail(Reason::kOverloaded, "the last changes of a batch took longer to copy than writes may be refused");
  }
  const ShardMoverOptions::Sight sight = options_.sight();
  if (!sight.leads) return Fail(Reason::kStateConflict, "another server moves the shards now");
  if (!sight.document || sight.document->failover || sight.document->epoch != epoch_) {
    return Fail(Reason::kStateConflict, "the databases fail over to another center");
  }
  return {};
}

// Blocks until the transaction has ended, which it does within the group's time-outs.
Result<void> ShardMover::RunAndWait(End& end, Work work) {
  auto promise = std::make_shared<std::promise<Result<void>>>();
  end.lane->Run([work = std::move(work)](Transaction& rows) { return work(rows); },
                [promise](Result<void> result) { promise->set_value(std::move(result)); });
  return promise->get_future().get();
}

Result<void> ShardMover::RunUnderTerm(End& end, const Work& work) {
  return RunAndWait(end, [&work, term = moving_->term](Transaction& rows) -> Result<void> {
    // The transaction has the row locked against whoever raises it.
    MUSTER_ASSIGN(const std::int64_t newest,
                  rows.Note(rows.session().connection->ReadInteger("SELECT move_term FROM fence WHERE id = 1")));
    if (newest != term) return Fail(Reason::kStateConflict, "another server moves the shards now");
    return work(rows);
  });
}

Result<void> ShardMover::Raise(End& end, const std::string& column, std::int64_t revision) {
  const std::string number = std::to_string(revision);
  return RunAndWait(end, [&](Transaction& rows) -> Result<void> {
    rows.NoteWrite();
    Connection& connection = *rows.session().connection;
    MUSTER_TRY(rows.Note(connection.Execute("UPDATE fence SET " + column + " = " + number + " WHERE id = 1 AND " +
                                            column + " < " + number)));
    MUSTER_ASSIGN(const std::int64_t newest,
                  rows.Note(connection.ReadInteger("SELECT " + column + " FROM fence WHERE id = 1")));
    if (newest == revision) return {};
    return Fail(Reason::kStateConflict, "another server moves the shards now");
  });
}

Result<void> ShardMover::Change(const std::function<Result<void>(TopologyDocument&)>& change) {
  MUSTER_TRY(options_.topology->Update(change));
  return {};
}

Result<void> ShardMover::Step(ShardMoveStep next) {
  return Change(
      [next, term = moving_->term](TopologyDocument& document) { return StepShardMove(term, next, document); });
}

Result<void> ShardMover::BeginBatch() {
  return Change([this](TopologyDocument& changed) -> Result<void> {
    MUSTER_TRY(StepShardMove(moving_->term, ShardMoveStep::kCopying, changed));
    const ShardSet batch = NextBatch(changed, options_.batch_shards);
    if (batch.none()) {
      changed.shard_move.reset();
    } else {
      changed.shard_move->batch = batch;
    }
    return {};
  });
}

Result<void> ShardMover::CopyBatch(const TopologyDocument& document) {
  const ShardMoveRecord& move = *document.shard_move;
  fence_until_ = Instant::max();
  if (move.stops && move.batch.any()) return Step(ShardMoveStep::kUndoing);
  if (move.batch.none()) return BeginBatch();
  MUSTER_TRY(CheckMayMove(document));
  MUSTER_TRY(CopyOfGroup());
  for (int round = 0; round < kCopyRoundsMax; ++round) {
    MUSTER_ASSIGN(const std::uint64_t differed, CopyOnce(move.batch));
    if (differed <= kFewRows) break;
  }
  MUSTER_TRY(CopyOfGroup());
  return Step(ShardMoveStep::kFenced);
}

// A commit may have waited for its acknowledgement for any time, and its rows say when it began. After this none that
// began before is under way any more, so that rows that come later say so.
Result<void> ShardMover::CopyOfGroup() {
  MUSTER_TRY(RunUnderTerm(*moving_->from, [](Transaction& rows) -> Result<void> {
    MUSTER_TRY(rows.Note(rows.session().connection->Query("SELECT id FROM fence WHERE id = 1 FOR UPDATE")));
    return {};
  }));
  MUSTER_TRY(moving_->copy->CopyOfGroup());
  return {};
}

Result<std::uint64_t> ShardMover::CopyOnce(const ShardSet& batch) {
  std::uint64_t differed = 0;
  MUSTER_TRY(ForEachShard(batch, [&](ShardId shard) -> Result<void> {
    MUSTER_ASSIGN(const std::uint64_t some, moving_->copy->Copy(shard));
    differed += some;
    return {};
  }));
  rows_.Add(differed);
  return differed;
}

Result<void> ShardMover::Fence(const TopologyDocument& document) {
  if (document.shard_move->stops) return Step(ShardMoveStep::kUndoing);
  fenced_at_ = clock_.Monotonic();
  fence_until_ = *fenced_at_ + options_.fence_max;
  Result<void> switched = SwitchWhileFenced(document);
  const bool is_slow = clock_.Monotonic() >= fence_until_;
  fence_until_ = Instant::max();
  if (switched) {
    moving_->slow_fences = 0;
    return {};
  }
  // Whether it was switched is not known after some failures: then this is refused.
  if (const Result<void> back = Step(ShardMoveStep::kCopying); !back) return switched;
  fences_taken_back_.Add();
  if (!is_slow || ++moving_->slow_fences < kSlowFencesMax) return is_slow ? Result<void>() : switched;
  logger_.Error("shards cannot be moved while so much is written to them: the move was stopped; move them when less is",
                {{"shards", ShardsText(document.shard_move->batch)}});
  return Change([](TopologyDocument& changed) { return StopShardMove(changed); });
}

Result<void> ShardMover::SwitchWhileFenced(const TopologyDocument& document) {
  const ShardSet& batch = document.shard_move->batch;
  // Waits for the transactions under way; those that begin later know that the batch is fenced.
  MUSTER_TRY(Raise(*moving_->from, "shards_revision", document.shards_revision));
  MUSTER_TRY(AwaitOutbox(batch));
  MUSTER_TRY(moving_->copy->CopyOfGroup());
  for (std::uint64_t differed = 1; differed > 0;) {
    MUSTER_ASSIGN(differed, CopyOnce(batch));
  }
  const ShardMap map = ShardMap::Of(document);
  MUSTER_TRY(TellShards(*moving_->to, map.ShardsOf(moving_->to->group) | batch));
  MUSTER_TRY(GoOn());
  MUSTER_TRY(Change([term = moving_->term, epoch = document.epoch](TopologyDocument& changed) -> Result<void> {
    // What was compared is what a later primary has, too, only under the epoch in which it was.
    if (changed.epoch != epoch) return Fail(Reason::kStateConflict, "the databases have failed over meanwhile");
    return StepShardMove(term, ShardMoveStep::kSwitched, changed);
  }));
  batches_.Add();
  return {};
}

Result<void> ShardMover::AwaitOutbox(const ShardSet& batch) {
  std::string shards;
  MUSTER_TRY(ForEachShard(batch, [&shards](ShardId shard) -> Result<void> {
    shards += (shards.empty() ? "" : ", ") + std::to_string(shard.value());
    return {};
  }));
  for (;;) {
    MUSTER_ASSIGN(const std::int64_t left, moving_->from->link.Run([&](Connection& connection) {
      return connection.ReadInteger("SELECT COUNT(*) FROM `change` WHERE shard IN (" + shards + ")");
    }));
    if (left == 0) return {};
    MUSTER_TRY(GoOn());
    Wait(kMoverLooksSoon);
  }
}

// Readers that go by an older map are sure of what they read for a lease at most.
Result<void> ShardMover::AwaitLeases(const TopologyDocument& document) {
  const Instant until = clock_.Monotonic() + WaitAfterMove(document);
  while (clock_.Monotonic() < until) {
    MUSTER_TRY(GoOn());
    Wait(std::min<Duration>(kMoverLooksEvery, std::max<Duration>(Duration(1), until - clock_.Monotonic())));
  }
  MUSTER_TRY(Step(ShardMoveStep::kCleaning));
  if (fenced_at_) fence_seconds_.Record(clock_.Monotonic() - *std::exchange(fenced_at_, std::nullopt));
  return {};
}

Result<void> ShardMover::Clean(const TopologyDocument& document) {
  MUSTER_TRY(Raise(*moving_->from, "cleaned_revision", document.shards_revision));
  MUSTER_TRY(DeleteRows(*moving_->from, document.shard_move->batch));
  MUSTER_TRY(TellShards(*moving_->from, ShardMap::Of(document).ShardsOf(moving_->from->group)));
  logger_.Info("shards have moved", {{"shards", ShardsText(document.shard_move->batch)},
                                     {"from", document.shard_move->from},
                                     {"to", document.shard_move->to}});
  return BeginBatch();
}

Result<void> ShardMover::Undo(const TopologyDocument& document) {
  MUSTER_TRY(DeleteRows(*moving_->to, document.shard_move->batch));
  MUSTER_TRY(TellShards(*moving_->to, ShardMap::Of(document).ShardsOf(moving_->to->group)));
  logger_.Info("a move of shards was undone", {{"shards", ShardsText(document.shard_move->batch)}});
  return Change([term = moving_->term](TopologyDocument& changed) -> Result<void> {
    MUSTER_TRY(StepShardMove(term, ShardMoveStep::kUndoing, changed));
    changed.shard_move.reset();
    return {};
  });
}

Result<void> ShardMover::DeleteRows(End& end, const ShardSet& shards) {
  return ForEachShard(shards, [&](ShardId shard) -> Result<void> {
    for (bool is_done = false; !is_done;) {
      MUSTER_TRY(GoOn());
      MUSTER_TRY(RunUnderTerm(end, [&](Transaction& rows) -> Result<void> {
        MUSTER_ASSIGN(is_done, DeleteShardRows(rows, shard));
        return {};
      }));
    }
    return {};
  });
}

Result<void> ShardMover::TellShards(End& end, const ShardSet& shards) {
  return RunUnderTerm(end, [&](Transaction& rows) {
    rows.NoteWrite();
    return rows.Note(rows.session().connection->Execute("UPDATE meta SET value = '" + shards.to_string() +
                                                        "' WHERE name = 'shards'"));
  });
}

}  // namespace muster::mariadb
