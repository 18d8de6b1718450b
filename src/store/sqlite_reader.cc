#include "store/sqlite_reader.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <optional>
#include <utility>

#include "store/file_snapshot.h"
#include "store/holder_search.h"
#include "store/member_codec.h"
#include "store/schema.h"
#include "store/settled_member.h"

namespace muster {
namespace {

struct PendingRead {
  bool is_resolve = false;
  MemberId id;
  IdentityKey key;
  ReadOptions options;
  MemberReply reply;
  Result<MemberAnswer> answer = MemberAnswer{};
};

std::unexpected<Error> Overloaded(std::string message) {
  Error error{Reason::kOverloaded, std::move(message)};
  error.retry_after_ms = 1000;
  return std::unexpected(std::move(error));
}

// Reads of the same thing become neighbours, and ids come in the order of their rows.
bool Before(const PendingRead& a, const PendingRead& b) {
  if (a.is_resolve != b.is_resolve) return b.is_resolve;
  return a.is_resolve ? a.key < b.key : a.id < b.id;
}
bool Equal(const PendingRead& a, const PendingRead& b) {
  return a.is_resolve == b.is_resolve && (a.is_resolve ? a.key == b.key : a.id == b.id);
}

class SqliteReader final : public MemberReader, private HolderSource, private MemberSource {
 public:
  SqliteReader(std::vector<std::unique_ptr<FileSnapshot>> files, const ReaderDependencies& dependencies)
      : files_(std::move(files)),
        loop_(dependencies.loop),
        clock_(dependencies.clock),
        floor_(dependencies.floor),
        metrics_(dependencies.metrics),
        codec_(dependencies.keyring, dependencies.random) {}

  void Get(MemberId id, const ReadOptions& options, MemberReply reply) override {
    Enqueue({.is_resolve = false, .id = id, .key = {}, .options = options, .reply = std::move(reply)});
  }

  void Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) override {
    Enqueue({.is_resolve = true, .id = {}, .key = key, .options = options, .reply = std::move(reply)});
  }

  RouteDescription Describe() const override {
    return {.name = "store(sqlite)",
            .policy = "reads the rows themselves; all reads of a turn share one read transaction a file",
            .counters = {{"reads", reads_.load(std::memory_order_relaxed)},
                         {"turns", turns_.load(std::memory_order_relaxed)},
                         {"refused", refused_.load(std::memory_order_relaxed)}},
            .children = {}};
  }

 private:
  // What a read of one member or one holder found, before the options of whoever asked are applied.
  using Found = Result<MemberDocumentRef>;

  void Enqueue(PendingRead read) {
    if (waiting_.size() >= kReadsQueuedMax) {
      refused_.fetch_add(1, std::memory_order_relaxed);
      read.reply(Overloaded("too many reads wait for the store; try again later"));
      return;
    }
    waiting_.push_back(std::move(read));
    Schedule();
  }

  void Schedule() {
    if (scheduled_) return;
    scheduled_ = true;
    loop_.Defer([this] {
      scheduled_ = false;
      RunTurn();
    });
  }

  void RunTurn() {
    std::vector<PendingRead> reads = TakeTurn();
    // Before the first read opens a snapshot: each snapshot sees every commit up to it.
    const CommitSequence as_of = floor_.Now();
    const Instant now = clock_.Monotonic();
    order_.resize(reads.size());
    std::iota(order_.begin(), order_.end(), 0U);
    std::ranges::sort(order_, [&](std::uint32_t a, std::uint32_t b) { return Before(reads[a], reads[b]); });

    std::optional<Found> found;
    const PendingRead* previous = nullptr;
    for (const std::uint32_t index : order_) {
      PendingRead& read = reads[index];
      if (read.options.deadline.at() <= now) {
        read.answer = Fail(Reason::kDeadlineExceeded, "the deadline passed before the store was read; allow more time");
        continue;
      }
      if (!previous || !Equal(*previous, read))
        found = read.is_resolve ? FindHolder(read.key, *this) : ReadDocument(read.id);
      previous = &read;
      read.answer = Answer(*found, read.options, as_of);
    }
    EndSnapshots();

    reads_.fetch_add(reads.size(), std::memory_order_relaxed);
    turns_.fetch_add(1, std::memory_order_relaxed);
    metrics_.reads.Add(reads.size());
    metrics_.turns.Add();
    for (PendingRead& read : reads) read.reply(std::move(read.answer));
  }

  std::vector<PendingRead> TakeTurn() {
    if (waiting_.size() <= kReadsPerTurnMax) return std::exchange(waiting_, {});
    std::vector<PendingRead> reads(std::make_move_iterator(waiting_.begin()),
                                   std::make_move_iterator(waiting_.begin() + kReadsPerTurnMax));
    waiting_.erase(waiting_.begin(), waiting_.begin() + kReadsPerTurnMax);
    Schedule();
    return reads;
  }

  static Result<MemberAnswer> Answer(const Found& found, const ReadOptions& options, CommitSequence as_of) {
    if (!found) return std::unexpected(found.error());
    if (*found && (*found)->version() < options.min_version) {
      return Fail(Reason::kStale, "the member has version " + std::to_string((*found)->version().value()) +
                                      ", below the version asked for; no source has a newer one");
    }
    return MemberAnswer{.member = *found, .source = Source::kPrimary, .age = Duration(0), .as_of = as_of};
  }

  FileSnapshot& FileOf(ShardId shard) const { return *files_[FileOfShard(shard, files_.size())]; }

  Found ReadDocument(MemberId id) {
    MUSTER_ASSIGN(const Owner owner, ReadOwner(id));
    return owner.document;
  }

  // MemberSource, on the snapshots of the turn.
  Result<std::optional<Member>> ReadRow(MemberId id) override {
    metrics_.rows.Add();
    return FileOf(ShardOf(id)).ReadMember(id, codec_);
  }
  bool SharesRows(MemberId one, MemberId other) const override {
    return &FileOf(ShardOf(one)) == &FileOf(ShardOf(other));
  }

  // HolderSource, on the snapshots of the turn.
  Result<std::optional<LookupRow>> ReadLookup(const IdentityKey& key) override {
    metrics_.rows.Add();
    return FileOf(ShardOf(key)).ReadLookup(key);
  }
  Result<Owner> ReadOwner(MemberId id) override {
    MUSTER_ASSIGN(const SettledMember found, ReadSettled(id, *this));
    return Owner{found.member ? MakeMemberDocument(*found.member) : MemberDocumentRef(), found.heir};
  }
  bool SharesSnapshot(const IdentityKey& key, MemberId id) const override {
    return &FileOf(ShardOf(key)) == &FileOf(ShardOf(id));
  }
  void BeginAnew() override { EndSnapshots(); }

  void EndSnapshots() {
    for (const auto& file : files_) file->End();
  }

  std::vector<std::unique_ptr<FileSnapshot>> files_;
  EventLoop& loop_;
  const Clock& clock_;
  const CommitFloor& floor_;
  ReaderMetrics metrics_;
  MemberCodec codec_;

  std::vector<PendingRead> waiting_;
  bool scheduled_ = false;
  std::vector<std::uint32_t> order_;
  std::atomic<std::uint64_t> reads_{0};
  std::atomic<std::uint64_t> turns_{0};
  std::atomic<std::uint64_t> refused_{0};
};

}  // namespace

ReaderMetrics::ReaderMetrics(MetricRegistry& registry)
    : reads(registry.AddCounter("muster_store_reads_total", "Reads that reached the store.")),
      turns(registry.AddCounter("muster_store_read_turns_total",
                                "Read transactions; reads divided by it, how many share one.")),
      rows(registry.AddCounter("muster_store_rows_read_total", "Member and lookup rows that readers looked for.")) {}

Result<std::unique_ptr<MemberReader>> OpenSqliteReader(const std::vector<std::string>& paths, std::int64_t mmap_bytes,
                                                       const ReaderDependencies& dependencies) {
  std::vector<std::unique_ptr<FileSnapshot>> files;
  for (const std::string& path : paths) {
    MUSTER_ASSIGN(files.emplace_back(), FileSnapshot::Open(path, mmap_bytes));
  }
  return std::make_unique<SqliteReader>(std::move(files), dependencies);
}

}  // namespace muster
