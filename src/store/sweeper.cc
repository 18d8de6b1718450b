#include "store/sweeper.h"

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/thread_name.h"
#include "domain/id_allocator.h"
#include "store/binding.h"
#include "store/binding_steps.h"
#include "store/group_committer.h"
#include "store/in_database.h"
#include "store/move_settler.h"

namespace muster {
namespace {

// Above the longest deadline of a request (10 minutes): whoever was sent before a request with its key was answered,
// and is held up until the answer is forgotten, does not commit any more (decision 0018).
constexpr std::int64_t kAnswersMsMin = 15LL * 60'000;
// A step of forgetting that found fewer was at its end. So what grows old while the sweeper is at it waits for the next
// period, and is not a commit of its own in each turn.
constexpr std::int64_t kForgetMore = 1'000;
static_assert(kForgetMore <= kForgetMax && kForgetMore <= kForgetChangesMax);

using Entries = std::vector<ShardUpkeep::LookupEntry>;

// Those of `entries` whose owner, in this transaction's database, does not list them.
Result<Entries> SettleAll(ShardTransaction& transaction, const Entries& entries) {
  Entries dangling;
  for (const ShardUpkeep::LookupEntry& entry : entries) {
    MUSTER_ASSIGN(const std::optional<Member> holder, Settle(transaction, entry.key, entry.row));
    if (!holder) dangling.push_back(entry);
  }
  return dangling;
}

Result<std::uint64_t> FreeAll(ShardTransaction& transaction, const Entries& dangling) {
  std::uint64_t freed = 0;
  for (const ShardUpkeep::LookupEntry& entry : dangling) {
    MUSTER_ASSIGN(const bool swapped, Replace(transaction, entry.key, entry.row, std::nullopt));
    if (swapped) ++freed;
  }
  return freed;
}

// Frees those of `entries`, lookup rows of `database`, whose owners, all of `owner_database`, do not list them; answers
// how many.
Task<Result<std::uint64_t>> FreeDangling(ShardStore& shards, std::uint32_t database, std::uint32_t owner_database,
                                         Entries entries) {
  Entries dangling;
  std::uint64_t freed = 0;
  const bool is_same = owner_database == database;
  ShardStore::Transaction settle = [&](ShardTransaction& rows) -> Result<void> {
    MUSTER_ASSIGN(dangling, SettleAll(rows, entries));
    if (is_same) {
      MUSTER_ASSIGN(freed, FreeAll(rows, dangling));
    }
    return {};
  };
  Result<void> result = co_await InDatabase(shards, owner_database, std::move(settle));
  MUSTER_CO_TRY(std::move(result));
  if (!is_same && !dangling.empty()) {
    ShardStore::Transaction free = [&](ShardTransaction& rows) -> Result<void> {
      MUSTER_ASSIGN(freed, FreeAll(rows, dangling));
      return {};
    };
    result = co_await InDatabase(shards, database, std::move(free));
    MUSTER_CO_TRY(std::move(result));
  }
  co_return freed;
}

// Waits in this thread, which is not one of the store's.
template <typename T>
T RunToEnd(Task<T> task) {
  std::mutex mutex;
  std::condition_variable arrived;
  std::optional<T> answer;
  Spawn(std::move(task), [&](T value) {
    std::lock_guard lock(mutex);
    answer.emplace(std::move(value));
    arrived.notify_one();
  });
  std::unique_lock lock(mutex);
  arrived.wait(lock, [&] { return answer.has_value(); });
  return std::move(*answer);
}

}  // namespace

Task<Result<SweepProgress>> SweepLookups(ShardStore& shards, ShardUpkeep& upkeep, std::uint32_t database,
                                         IdentityKey after, std::size_t limit) {
  MUSTER_CHECK(limit > 0);
  MUSTER_CO_ASSIGN(const Entries entries, upkeep.ScanLookups(database, after, limit));
  SweepProgress progress;
  progress.examined = entries.size();
  if (entries.size() == limit) progress.next = entries.back().key;

  const Timestamp now = shards.Now(database);
  std::map<std::uint32_t, Entries> by_owner;
  for (const ShardUpkeep::LookupEntry& entry : entries) {
    // A number that is far ahead of the clock says nothing about an age: the clock was wrong then, or is now.
    const Duration age = now - IdAllocator::TimeOf(entry.row.operation_id.value());
    if (std::chrono::abs(age) <= kOperationAgeMax) continue;
    by_owner[shards.DatabaseOf(entry.row.member_id)].push_back(entry);
  }

  for (const auto& [owner_database, some] : by_owner) {
    const Result<std::uint64_t> freed = co_await FreeDangling(shards, database, owner_database, some);
    if (freed) {
      progress.freed += *freed;
      continue;
    }
    if (freed.error().reason != Reason::kInternal) co_return Fail(freed.error());
    // An owner cannot be read. That must not keep the others from being swept.
    for (const ShardUpkeep::LookupEntry& entry : some) {
      const Result<std::uint64_t> one = co_await FreeDangling(shards, database, owner_database, Entries{entry});
      if (one) {
        progress.freed += *one;
      } else if (one.error().reason == Reason::kInternal) {
        ++progress.unreadable;
      } else {
        co_return Fail(one.error());
      }
    }
  }
  co_return progress;
}

Task<Result<MoveProgress>> SweepMoves(ShardStore& shards, ShardUpkeep& upkeep, std::uint32_t database, MemberId after,
                                      std::size_t limit) {
  MUSTER_CHECK(limit > 0);
  MUSTER_CO_ASSIGN(const std::vector<MemberId> ids, upkeep.ScanMarked(database, after, limit));
  MoveProgress progress;
  if (ids.size() == limit) progress.next = ids.back();
  MoveSettler settler(shards);
  const Timestamp now = shards.Now(database);
  for (const MemberId id : ids) {
    std::optional<Member> member;
    ShardStore::Transaction read = [&](ShardTransaction& rows) -> Result<void> {
      MUSTER_ASSIGN(member, rows.ReadMember(id));
      return {};
    };
    Result<MoveEnd> end = MoveEnd::kGone;
    Result<void> result = co_await InDatabase(shards, database, std::move(read));
    if (!result) {
      end = Fail(std::move(result).error());
    } else if (member && member->move) {
      const OperationId operation = member->move->operation_id;
      const Duration age = now - IdAllocator::TimeOf(operation.value());
      const bool may_abort = shards.under_way() != nullptr ? !shards.under_way()->Contains(operation)
                                                           : std::chrono::abs(age) > kOperationAgeMax;
      end = co_await settler.Settle(*std::move(member), may_abort);
    }
    if (!end && end.error().reason != Reason::kInternal) co_return Fail(std::move(end).error());
    // One whose other end cannot be read must not keep the others from being settled.
    if (!end) ++progress.unreadable;
    if (end && (*end == MoveEnd::kFinished || *end == MoveEnd::kCleared)) ++progress.settled;
  }
  co_return progress;
}

Task<Result<std::uint64_t>> ForgetOutcomes(ShardUpkeep& upkeep, Timestamp now, std::uint32_t database) {
  const Timestamp before = now - kOperationRetention;
  auto begin = [&upkeep, database, before](auto done) { upkeep.ForgetOperations(database, before, std::move(done)); };
  co_return co_await Callback<Result<std::uint64_t>>(std::move(begin));
}

Task<Result<std::uint64_t>> ForgetAnswers(ShardUpkeep& upkeep, Timestamp now, std::uint32_t database,
                                          Duration retention) {
  const Timestamp before = now - retention;
  auto begin = [&upkeep, database, before](auto done) { upkeep.ForgetAnswers(database, before, std::move(done)); };
  co_return co_await Callback<Result<std::uint64_t>>(std::move(begin));
}

Task<Result<std::uint64_t>> ForgetChanges(ChangeKeeper& keeper, Timestamp now, std::uint32_t database,
                                          Duration retention, std::int64_t keep_max) {
  auto begin = [&keeper, database, before = now - retention, keep_max](auto done) {
    keeper.ForgetChanges(database, before, keep_max, std::move(done));
  };
  co_return co_await Callback<Result<std::uint64_t>>(std::move(begin));
}

void SweeperOptions::Declare(OptionRegistry& options) {
  options.AddDuration(
      "store.sweeper.period", &period_ms,
      "How often the sweeper begins anew: forgets what is old, settles what a crash left, and looks at all identities. "
      "What a period does not suffice for goes on in the next.",
      {.min = 1'000, .max = 86'400'000});
  options.AddDuration("store.sweeper.pause", &pause_ms, "How long the sweeper rests after it has looked at one file.",
                      {.min = 1, .max = 60'000});
  options.AddInteger("store.sweeper.batch", &batch,
                     "How many identities, or members in a merge, the sweeper looks at in one step.",
                     {.min = 1, .max = 10'000});
  options.AddDuration("store.idempotency.retention", &answers_ms,
                      "How long the answer to a request with an Idempotency-Key is kept, at least.",
                      {.min = kAnswersMsMin, .max = 30LL * 86'400'000});
  options.AddDuration("store.changes.retention", &changes_ms,
                      "How long a change can be read from the stream of changes; the history of its member keeps it.",
                      {.min = 1'000, .max = 3'660LL * 86'400'000});
  options.AddInteger("store.changes.keep_max", &changes_max,
                     "How many changes the stream keeps at most, also when they are younger; some 40 bytes each.",
                     {.min = 1'000, .max = 1LL << 40});
}

Sweeper::Sweeper(ShardStore& shards, ShardUpkeep& upkeep, const SweeperOptions& options, Logger& logger,
                 MetricRegistry& metrics, ChangeKeeper* changes)
    : shards_(shards),
      upkeep_(upkeep),
      changes_(changes),
      options_(options),
      logger_(logger),
      examined_(
          metrics.AddCounter("muster_store_sweeper_examined_total", "Identity lookup rows the sweeper looked at.")),
      freed_(metrics.AddCounter("muster_store_sweeper_freed_total",
                                "Identity lookup rows the sweeper freed because their member does not hold them.")),
      settled_(metrics.AddCounter("muster_store_sweeper_moves_settled_total",
                                  "Merges and unmerges that the sweeper brought to their end.")),
      forgotten_(metrics.AddCounter("muster_store_sweeper_outcomes_forgotten_total",
                                    "Outcomes of old binding operations the sweeper forgot.")),
      forgotten_answers_(metrics.AddCounter("muster_store_sweeper_answers_forgotten_total",
                                            "Answers kept for Idempotency-Keys that the sweeper forgot.")),
      forgotten_changes_(metrics.AddCounter("muster_store_sweeper_changes_forgotten_total",
                                            "Changes that the sweeper removed from the stream.")),
      failures_(
          metrics.AddCounter("muster_store_sweeper_failures_total",
                             "Steps of the sweeper that failed, and identities whose member it could not read.")) {}

Sweeper::~Sweeper() { Stop(); }

void Sweeper::Start() {
  MUSTER_CHECK(!thread_.joinable());
  thread_ = std::thread([this] { RunForEver(); });
  NameThread(thread_, "sweeper");
}

void Sweeper::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_asked_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Sweeper::RunForEver() {
  using std::chrono::milliseconds;
  using std::chrono::steady_clock;
  for (;;) {
    const auto end = steady_clock::now() + milliseconds(options_.period_ms);
    BeginPeriod();
    do {
      const bool worked = TakeTurn();
      const auto left = std::chrono::ceil<milliseconds>(end - steady_clock::now()).count();
      if (!Wait(worked ? options_.pause_ms : left)) return;
    } while (steady_clock::now() < end);
  }
}

void Sweeper::BeginPeriod() {
  std::set<std::uint32_t> databases;
  for (std::uint16_t shard = 0; shard < kShardCount; ++shard) databases.insert(shards_.DatabaseOf(ShardId(shard)));
  for (const Tended& tended : tended_) databases.erase(tended.database);
  for (const std::uint32_t database : databases) tended_.push_back({.database = database});
  for (Tended& tended : tended_) tended.due = {.changes = changes_ != nullptr};
}

bool Sweeper::TakeTurn() {
  for (std::size_t i = 0; i < tended_.size(); ++i) {
    Tended& tended = tended_[next_];
    next_ = (next_ + 1) % tended_.size();
    if (!tended.due.Any()) continue;
    Tend(tended);
    return true;
  }
  return false;
}

// One step of each is bounded, and none waits for another to come to its end: under writes, some never do.
void Sweeper::Tend(Tended& tended) {
  const std::uint32_t database = tended.database;
  Due& due = tended.due;
  const Timestamp now = shards_.Now(database);
  if (due.moves) due.moves = SettleMoves(tended);
  if (due.outcomes) due.outcomes = Forget(database, forgotten_, ForgetOutcomes(upkeep_, now, database));
  if (due.answers) {
    due.answers = Forget(database, forgotten_answers_,
                         ForgetAnswers(upkeep_, now, database, std::chrono::milliseconds(options_.answers_ms)));
  }
  if (due.changes) {
    due.changes = Forget(
        database, forgotten_changes_,
        ForgetChanges(*changes_, now, database, std::chrono::milliseconds(options_.changes_ms), options_.changes_max));
  }
  if (due.lookups) due.lookups = FreeLookups(tended);
}

bool Sweeper::SettleMoves(Tended& tended) {
  const auto step =
      RunToEnd(SweepMoves(shards_, upkeep_, tended.database, tended.move, static_cast<std::size_t>(options_.batch)));
  if (!step) {
    // A row that cannot be read is not the end of all walks.
    if (step.error().reason == Reason::kInternal) tended.move = {};
    return Note(tended.database, step.error());
  }
  settled_.Add(step->settled);
  failures_.Add(step->unreadable);
  tended.move = step->next;
  return tended.move != MemberId(0);
}

bool Sweeper::Forget(std::uint32_t database, Counter& forgotten, Task<Result<std::uint64_t>> step) {
  const Result<std::uint64_t> some = RunToEnd(std::move(step));
  if (!some) return Note(database, some.error());
  forgotten.Add(*some);
  return *some >= std::uint64_t{kForgetMore};
}

bool Sweeper::FreeLookups(Tended& tended) {
  const auto step = RunToEnd(
      SweepLookups(shards_, upkeep_, tended.database, tended.lookup, static_cast<std::size_t>(options_.batch)));
  if (!step) {
    if (step.error().reason == Reason::kInternal) tended.lookup = {};
    return Note(tended.database, step.error());
  }
  examined_.Add(step->examined);
  freed_.Add(step->freed);
  if (step->unreadable > 0) {
    failures_.Add(step->unreadable);
    logger_.Warning("members behind identities cannot be read; stop the server and run `muster doctor`",
                    {{"database", tended.database}, {"identities", step->unreadable}});
  }
  tended.lookup = step->next;
  return tended.lookup != IdentityKey{};
}

bool Sweeper::Note(std::uint32_t database, const Error& error) {
  failures_.Add();
  logger_.Warning("sweeper step failed", {{"database", database}, {"code", error.code()}, {"reason", error.message}});
  return false;
}

bool Sweeper::Wait(std::int64_t milliseconds) {
  std::unique_lock lock(mutex_);
  return !stop_asked_.wait_for(lock, std::chrono::milliseconds(milliseconds), [this] { return stopping_; });
}

}  // namespace muster
