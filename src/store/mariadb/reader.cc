#include "store/mariadb/reader.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/thread_name.h"

namespace muster::mariadb {
namespace {

// Batches of one loop that may be with the pool: while one is read the next one gathers. More where reads_per_turn is
// so small that two would leave threads of the pool idle.
constexpr std::size_t kBatchesUnderWay = 2;
// Rounds of one batch: each asks servers that the ones before did not.
constexpr int kReadRoundsMax = 4;

struct WaitingRead {
  bool is_resolve = false;
  MemberId id;
  IdentityKey key;
  ReadOptions options;
  MemberReply reply;
  Result<MemberAnswer> answer = MemberAnswer{};
};

std::unexpected<Error> TooManyReads() {
  Error error{Reason::kOverloaded, "too many reads wait for the store; try again later"};
  error.retry_after_ms = 1000;
  return std::unexpected(std::move(error));
}

std::unexpected<Error> TooLate() {
  return Fail(Reason::kDeadlineExceeded, "the deadline passed before the store had answered; allow more time");
}

ReadFrom SourceOf(const ReadOptions& options) {
  if (options.no_cache) return ReadFrom::kPrimary;
  return options.prefer_primary ? ReadFrom::kPrimaryFirst : ReadFrom::kNearest;
}

class PooledReader final : public MemberReader {
 public:
  PooledReader(ReaderPool& pool, const PooledReaderDependencies& dependencies)
      : pool_(pool),
        loop_(dependencies.loop),
        clock_(dependencies.clock),
        floor_(dependencies.floor),
        metrics_(dependencies.metrics),
        reads_per_turn_(dependencies.reads_per_turn),
        under_way_max_(std::max(kBatchesUnderWay, pool.threads() / reads_per_turn_)) {}

  void Get(MemberId id, const ReadOptions& options, MemberReply reply) override {
    Enqueue({.is_resolve = false, .id = id, .key = {}, .options = options, .reply = std::move(reply)});
  }
  void Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) override {
    Enqueue({.is_resolve = true, .id = {}, .key = key, .options = options, .reply = std::move(reply)});
  }

  RouteDescription Describe() const override {
    return {.name = "store(mariadb)",
            .policy =
                "asks the copies of the groups in this center that are not behind, else the primaries; reads of a "
                "turn share statements",
            .counters = {{"reads", reads_.load(std::memory_order_relaxed)},
                         {"turns", turns_.load(std::memory_order_relaxed)},
                         {"from_copies", from_copies_.load(std::memory_order_relaxed)},
                         {"asked_again", asked_again_.load(std::memory_order_relaxed)},
                         {"refused", refused_.load(std::memory_order_relaxed)}},
            .children = {}};
  }

 private:
  using Reads = std::vector<WaitingRead>;

  void Enqueue(WaitingRead read) {
    if (waiting_.size() >= kReadsQueuedMax) {
      refused_.fetch_add(1, std::memory_order_relaxed);
      read.reply(TooManyReads());
      return;
    }
    waiting_.push_back(std::move(read));
    Schedule();
  }

  bool HasBatch() const { return !waiting_.empty() && under_way_ < under_way_max_; }

  void Schedule() {
    if (scheduled_ || !HasBatch()) return;
    scheduled_ = true;
    loop_.Defer([this] {
      scheduled_ = false;
      while (HasBatch() && SendBatch()) {
      }
    });
  }

  // False: the pool takes none, and its reads are refused.
  bool SendBatch() {
    const std::size_t count = std::min(waiting_.size(), reads_per_turn_);
    auto reads =
        std::make_shared<Reads>(std::make_move_iterator(waiting_.begin()),
                                std::make_move_iterator(waiting_.begin() + static_cast<std::ptrdiff_t>(count)));
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
    // Before the first statement runs: it sees every commit up to this one.
    const CommitSequence as_of = floor_.Now();
    ++under_way_;
    turns_.fetch_add(1, std::memory_order_relaxed);
    reads_.fetch_add(count, std::memory_order_relaxed);
    metrics_.turns.Add();
    metrics_.reads.Add(count);
    ReaderPool::Job job = [this, reads, as_of](ReadBatch& batch) {
      ReadAll(*reads, batch, as_of);
      loop_.Post([this, reads] { Reply(*reads); });
    };
    if (!pool_.TryRun(std::move(job))) {
      refused_.fetch_add(count, std::memory_order_relaxed);
      for (WaitingRead& read : *reads) read.answer = TooManyReads();
      Reply(*reads);
      return false;
    }
    return true;
  }

  // On a thread of the pool.
  void ReadAll(Reads& reads, ReadBatch& batch, CommitSequence as_of) {
    for (const ReadFrom from : {ReadFrom::kNearest, ReadFrom::kPrimaryFirst, ReadFrom::kPrimary}) {
      std::vector<WaitingRead*> open;
      for (WaitingRead& read : reads) {
        if (SourceOf(read.options) == from) open.push_back(&read);
      }
      batch.BeginAnew();
      for (int round = 0; round < kReadRoundsMax && !open.empty(); ++round) {
        if (round > 0) asked_again_.fetch_add(open.size(), std::memory_order_relaxed);
        open = ReadRound(from, open, batch, as_of);
      }
    }
    metrics_.rows.Add(batch.TakeRowCount());
  }

  // Answers those that are to be read again, from others; what they are answered if nobody else has more is in place.
  std::vector<WaitingRead*> ReadRound(ReadFrom from, std::vector<WaitingRead*> reads, ReadBatch& batch,
                                      CommitSequence as_of) {
    std::erase_if(reads, [this](WaitingRead* read) {
      if (!read->options.deadline.Passed(clock_)) return false;
      read->answer = TooLate();
      return true;
    });
    std::vector<MemberId> ids;
    std::vector<IdentityKey> keys;
    for (const WaitingRead* read : reads) {
      if (read->is_resolve) {
        keys.push_back(read->key);
      } else {
        ids.push_back(read->id);
      }
    }
    std::ranges::sort(keys);
    keys.erase(std::ranges::unique(keys).begin(), keys.end());
    batch.Begin(from, ids, keys);
    std::vector<Result<ReadBatch::Found>> found;
    found.reserve(reads.size());
    for (const WaitingRead* read : reads) {
      found.push_back(read->is_resolve ? batch.FindHolderOf(read->key) : batch.ReadDocument(read->id));
    }
    batch.ConfirmPrimaries();
    std::vector<WaitingRead*> again;
    ReadBatch::Groups below;
    for (std::size_t i = 0; i < reads.size(); ++i) {
      if (!found[i]) {
        // What the round before has left says more.
        if (reads[i]->answer) reads[i]->answer = std::unexpected(std::move(found[i]).error());
      } else if (!Answer(from, *reads[i], *found[i], batch.ServingOf(found[i]->groups), as_of)) {
        again.push_back(reads[i]);
        below |= found[i]->groups;
      }
    }
    batch.ExcludeThoseThatAnswered(below);
    return again;
  }

  // False: others may have more. The answer is what is left if they have not.
  bool Answer(ReadFrom from, WaitingRead& read, const ReadBatch::Found& found, const Serving& serving,
              CommitSequence as_of) {
    ReadVerdict verdict = JudgeRead(from, read.options, found.document, serving, clock_);
    read.answer = std::move(verdict.answer);
    if (read.answer && read.answer->source == Source::kPrimary) read.answer->as_of = as_of;
    if (read.answer && read.answer->source == Source::kReplica) from_copies_.fetch_add(1, std::memory_order_relaxed);
    return verdict.is_final;
  }

  void Reply(Reads& reads) {
    --under_way_;
    Schedule();
    for (WaitingRead& read : reads) read.reply(std::move(read.answer));
  }

  ReaderPool& pool_;
  EventLoop& loop_;
  const Clock& clock_;
  const CommitFloor& floor_;
  const ReaderMetrics metrics_;
  const std::size_t reads_per_turn_;
  const std::size_t under_way_max_;
  std::deque<WaitingRead> waiting_;
  bool scheduled_ = false;
  std::size_t under_way_ = 0;
  std::atomic<std::uint64_t> reads_{0};
  std::atomic<std::uint64_t> turns_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> from_copies_{0};
  std::atomic<std::uint64_t> asked_again_{0};
};

}  // namespace

ReaderPool::ReaderPool(std::size_t threads, const std::vector<SessionSettings>& groups, const ReadTimes& times,
                       const ShardMapSource& shards, const Keyring& keyring, Random& random, const Clock& clock)
    : watch_(threads) {
  for (std::size_t i = 0; i < threads; ++i) {
    ReadBatch& batch = *batches_.emplace_back(
        std::make_unique<ReadBatch>(groups, times, shards, MemberCodec(keyring, random), clock, watch_));
    threads_.emplace_back([this, &batch] {
      for (std::vector<Job> some; some = jobs_.PopSome(1), !some.empty();) some[0](batch);
    });
    NameThread(threads_.back(), "read " + std::to_string(i));
  }
}

ReaderPool::~ReaderPool() {
  for (const std::thread& thread : threads_) MUSTER_CHECK(!thread.joinable());
}

void ReaderPool::Close() {
  jobs_.Close();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

std::unique_ptr<MemberReader> MakePooledReader(ReaderPool& pool, const PooledReaderDependencies& dependencies) {
  return std::make_unique<PooledReader>(pool, dependencies);
}

}  // namespace muster::mariadb
