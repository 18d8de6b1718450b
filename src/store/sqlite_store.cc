#include "store/sqlite_store.h"

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/check.h"
#include "store/data_directory.h"
#include "store/file_transaction.h"
#include "store/group_committer.h"
#include "store/schema.h"
#include "store/sqlite_archive.h"
#include "store/sqlite_change_feed.h"
#include "store/sqlite_reader.h"

namespace muster {
namespace {

class SqliteStoreImpl final : public SqliteStore,
                              public ShardStore,
                              public ShardUpkeep,
                              public ImportRanges,
                              public ChangeKeeper {
 public:
  SqliteStoreImpl(DirectoryLock lock, std::vector<std::string> paths, const SqliteOptions& options,
                  const SqliteDependencies& dependencies, std::unique_ptr<SqliteArchive> archive,
                  std::unique_ptr<ChangePositions> positions, std::unique_ptr<SqliteChangeFeed> change_feed,
                  std::vector<std::unique_ptr<GroupCommitter>> writers, std::int64_t newest_number)
      : lock_(std::move(lock)),
        paths_(std::move(paths)),
        options_(options),
        dependencies_(dependencies),
        reader_metrics_(*dependencies.metrics),
        archive_(std::move(archive)),
        positions_(std::move(positions)),
        change_feed_(std::move(change_feed)),
        writers_(std::move(writers)),
        newest_number_(newest_number) {}

  ~SqliteStoreImpl() override { Close(); }

  ShardStore& shards() override { return *this; }
  ShardUpkeep& shard_upkeep() override { return *this; }
  MemberArchive& archive() override { return *archive_; }
  ImportRanges& import_ranges() override { return *this; }
  ChangeFeed& change_feed() override { return *change_feed_; }
  ChangeKeeper& change_keeper() override { return *this; }
  std::int64_t newest_number() const override { return newest_number_; }
  // The directory's lock keeps others out.
  std::uint8_t node() const override { return 0; }

  Result<std::unique_ptr<MemberReader>> MakeReader(EventLoop& loop) override {
    return OpenSqliteReader(paths_, options_.mmap_bytes,
                            {.loop = loop,
                             .keyring = *dependencies_.keyring,
                             .clock = *dependencies_.clock,
                             .random = *dependencies_.random,
                             .floor = *dependencies_.floor,
                             .metrics = reader_metrics_});
  }

  Result<void> Health() const override {
    for (const auto& writer : writers_) MUSTER_TRY(writer->Health());
    return {};
  }

  std::int64_t CountMembers() const override {
    std::int64_t count = 0;
    for (const auto& writer : writers_) count += writer->member_count();
    return count;
  }

  void Close() override {
    for (const auto& writer : writers_) writer->Close();
  }

  using ShardStore::DatabaseOf;
  std::uint32_t DatabaseOf(ShardId shard) const override { return FileOfShard(shard, writers_.size()); }

  void Run(std::uint32_t database, Transaction transaction, Done done) override {
    MUSTER_CHECK(database < writers_.size());
    writers_[database]->Run(
        [transaction = std::move(transaction)](FileTransaction& file) mutable { return transaction(file); },
        std::move(done));
  }

  Timestamp Now(std::uint32_t database) const override {
    MUSTER_CHECK(database < writers_.size());
    return dependencies_.clock->Now();
  }

  Result<std::vector<LookupEntry>> ScanLookups(std::uint32_t database, const IdentityKey& after,
                                               std::size_t limit) override {
    MUSTER_CHECK(database < writers_.size());
    return archive_->ScanLookups(database, after, limit);
  }

  Result<std::vector<MemberId>> ScanMarked(std::uint32_t database, MemberId after, std::size_t limit) override {
    MUSTER_CHECK(database < writers_.size());
    return archive_->ScanMarked(database, after, limit);
  }

  OperationsUnderWay* under_way() override { return &under_way_; }

  void ForgetOperations(std::uint32_t database, Timestamp before, Forgotten done) override {
    RunForgetting(database, std::move(done), [this, before](FileTransaction& file) {
      // Asked here, after every outcome that there is was recorded: an operation that one names began before.
      return file.ForgetOperations(before, under_way_.Oldest(), kForgetMax);
    });
  }

  void ForgetAnswers(std::uint32_t database, Timestamp before, Forgotten done) override {
    RunForgetting(database, std::move(done),
                  [before](FileTransaction& file) { return file.ForgetAnswers(before, kForgetMax); });
  }

  void ForgetChanges(std::uint32_t database, Timestamp before, std::int64_t keep_max,
                     std::move_only_function<void(Result<std::uint64_t>)> done) override {
    RunForgetting(database, std::move(done), [before, keep_max](FileTransaction& file) {
      return file.ForgetChanges(before, keep_max, kForgetChangesMax);
    });
  }

  void Reserve(std::uint64_t lines, Given given) override {
    auto first = std::make_shared<std::int64_t>(0);
    const auto first_sequence = static_cast<std::uint16_t>(dependencies_.random->Below(1 << 12));
    writers_.front()->Run(
        [first, lines, first_sequence](FileTransaction& file) -> Result<void> {
          MUSTER_ASSIGN(*first, file.ReserveRange(lines, first_sequence));
          return {};
        },
        [first, given = std::move(given)](Result<void> result) mutable {
          if (!result) return given(std::unexpected(std::move(result).error()));
          given(*first);
        });
  }

  Result<std::uint64_t> CountLines(std::int64_t first) override { return archive_->CountRangeLines(first); }

 private:
  template <typename Forget>
  void RunForgetting(std::uint32_t database, Forgotten done, Forget forget) {
    MUSTER_CHECK(database < writers_.size());
    auto forgotten = std::make_shared<std::uint64_t>(0);
    writers_[database]->Run(
        [forgotten, forget](FileTransaction& file) -> Result<void> {
          MUSTER_ASSIGN(*forgotten, forget(file));
          return {};
        },
        [forgotten, done = std::move(done)](Result<void> result) mutable {
          if (!result) return done(std::unexpected(std::move(result).error()));
          done(*forgotten);
        });
  }

  const DirectoryLock lock_;
  const std::vector<std::string> paths_;
  const SqliteOptions options_;
  const SqliteDependencies dependencies_;
  const ReaderMetrics reader_metrics_;
  const std::unique_ptr<SqliteArchive> archive_;
  const std::unique_ptr<ChangePositions> positions_;
  const std::unique_ptr<SqliteChangeFeed> change_feed_;
  OperationsUnderWay under_way_;
  const std::vector<std::unique_ptr<GroupCommitter>> writers_;
  const std::int64_t newest_number_;
};

// The files of `directory`, made if there are none.
Result<std::vector<std::string>> EnsureFiles(const std::string& directory, std::int64_t count, Random& random) {
  MUSTER_TRY(FinishCreation(directory));
  MUSTER_ASSIGN(std::int64_t found, CountDataFiles(directory));
  if (found == 0) {
    MUSTER_TRY(CreateDataFiles(directory, count, random));
    found = count;
  }
  std::vector<std::string> paths;
  paths.reserve(static_cast<std::size_t>(found));
  for (std::int64_t index = 0; index < found; ++index) paths.push_back(DataFilePath(directory, index));
  return paths;
}

// All files, each looked at before any is changed.
Result<std::vector<Database>> OpenForWriting(const std::vector<std::string>& paths, std::int64_t count,
                                             const SqliteDependencies& dependencies) {
  std::vector<Database> databases;
  std::string installation_id;
  for (const std::string& path : paths) {
    MUSTER_ASSIGN(Database database, Database::Open(path, Database::Mode::kWrite));
    MUSTER_TRY(CheckSchemaVersion(database, AllMigrations()));
    MUSTER_TRY(CheckTables(database, AllMigrations()));
    MUSTER_TRY(CheckFileIdentity(database, static_cast<std::int64_t>(databases.size()), count, installation_id));
    MUSTER_TRY(CheckKeyring(database, *dependencies.keyring));
    MUSTER_TRY(CheckCatalog(database, *dependencies.catalog));
    databases.push_back(std::move(database));
  }
  if (paths.size() == static_cast<std::size_t>(count)) return databases;
  return Fail(Reason::kInternal, "file muster-" + std::to_string(paths.size()) + ".db after " + paths.back() +
                                     " is missing: restore all files from one backup");
}

Result<void> PrepareForWriting(Database& database, const SqliteOptions& options,
                               const SqliteDependencies& dependencies) {
  const std::int64_t cache_kib = options.writer_cache_bytes / options.files / 1024;
  MUSTER_TRY(database.Execute("PRAGMA journal_mode = WAL; PRAGMA cache_size = -" + std::to_string(cache_kib) +
                              "; PRAGMA journal_size_limit = " + std::to_string(kWalPagesMax * kPageBytes) +
                              "; PRAGMA synchronous = " + (options.durable ? "FULL" : "OFF")));
  MUSTER_TRY(Migrate(database, AllMigrations()));
  MUSTER_TRY(database.Execute("BEGIN IMMEDIATE"));
  MUSTER_TRY(RememberKeyring(database, *dependencies.keyring));
  MUSTER_TRY(RememberCatalog(database, *dependencies.catalog));
  return database.Execute("COMMIT");
}

}  // namespace

void SqliteOptions::Declare(OptionRegistry& registry) {
  registry.AddInteger(
      "store.sqlite.files", &files,
      "Files over which the 1,024 shards are spread, each with a writer of its own; fixed when the data is made",
      {.min = 1, .max = 64});
  registry.AddInteger("store.sqlite.group_commit_max", &group_commit_max, "Transactions that share one commit at most",
                      {.min = 1, .max = 8192});
  registry.AddInteger("store.sqlite.queue_max", &queue_max,
                      "Transactions that may wait for a writer; beyond it writes answer OVERLOADED",
                      {.min = 1, .max = 1 << 20});
  registry.AddBytes("store.sqlite.writer_cache_bytes", &writer_cache_bytes, "Page cache of all writers together",
                    {.min = 1 << 20, .max = std::int64_t{1} << 40});
  registry.AddBytes("store.sqlite.mmap_bytes", &mmap_bytes, "How much of each file a reader maps into memory at most",
                    {.min = 0, .max = std::int64_t{1} << 46});
  registry.AddBoolean("store.sqlite.durable", &durable,
                      "Whether an answered write survives a power failure; false only for throw-away data");
}

Result<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& directory, const SqliteOptions& options,
                                                       const SqliteDependencies& dependencies) {
  MUSTER_CHECK(dependencies.keyring && dependencies.clock && dependencies.random && dependencies.logger &&
               dependencies.metrics && dependencies.floor && dependencies.catalog);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return Fail(Reason::kInternal, "cannot make the data directory " + directory + ": " + error.message() +
                                       ". Make its parent writable for this user, or choose another --data directory");
  }
  MUSTER_ASSIGN(DirectoryLock lock, DirectoryLock::Acquire(directory));
  MUSTER_ASSIGN(const std::vector<std::string> paths, EnsureFiles(directory, options.files, *dependencies.random));

  MUSTER_ASSIGN(std::vector<Database> databases, OpenForWriting(paths, options.files, dependencies));
  std::int64_t before_earliest = 0;
  for (Database& database : databases) {
    MUSTER_TRY(PrepareForWriting(database, options, dependencies));
    MUSTER_ASSIGN(const ForgottenChanges forgotten, ReadForgottenChanges(database));
    before_earliest = std::max(before_earliest, forgotten.to);
    if (paths.size() == 1) continue;
    MUSTER_ASSIGN(const std::int64_t start, ReadFeedStart(database));
    before_earliest = std::max(before_earliest, start);
  }
  MUSTER_ASSIGN(std::unique_ptr<SqliteArchive> archive,
                SqliteArchive::Open(paths, *dependencies.keyring, *dependencies.random));
  std::vector<std::unique_ptr<FileTransaction>> files;
  for (std::size_t index = 0; index < paths.size(); ++index) {
    MUSTER_ASSIGN(
        files.emplace_back(),
        FileTransaction::Open(std::move(databases[index]), MemberCodec(*dependencies.keyring, *dependencies.random),
                              *dependencies.clock, static_cast<std::uint32_t>(index),
                              static_cast<std::uint32_t>(paths.size()), options.answers));
  }
  std::int64_t newest_number = 0;
  std::int64_t last_position = 0;
  for (const auto& file : files) {
    newest_number = std::max(newest_number, file->newest_number());
    last_position = std::max(last_position, file->last_position());
  }
  auto positions = std::make_unique<ChangePositions>(files.size(), last_position, before_earliest);
  MUSTER_ASSIGN(std::unique_ptr<SqliteChangeFeed> feed, SqliteChangeFeed::Open(paths, *positions));
  // Nothing can fail from here on: threads start.
  std::vector<std::unique_ptr<GroupCommitter>> writers;
  writers.reserve(paths.size());
  for (std::size_t index = 0; index < paths.size(); ++index) {
    writers.push_back(std::make_unique<GroupCommitter>(
        std::move(files[index]), std::filesystem::path(paths[index]).filename().string(),
        GroupCommitter::Settings{.group_max = static_cast<std::size_t>(options.group_commit_max),
                                 .queue_max = static_cast<std::size_t>(options.queue_max)},
        GroupCommitter::Dependencies{.clock = *dependencies.clock,
                                     .logger = *dependencies.logger,
                                     .metrics = *dependencies.metrics,
                                     .floor = *dependencies.floor,
                                     .cache = dependencies.cache,
                                     .positions = *positions}));
  }
  return std::make_unique<SqliteStoreImpl>(std::move(lock), paths, options, dependencies, std::move(archive),
                                           std::move(positions), std::move(feed), std::move(writers), newest_number);
}

}  // namespace muster
