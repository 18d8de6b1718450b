#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "domain/ports/shard_store.h"
#include "store/answer_shares.h"
#include "store/change_positions.h"
#include "store/change_retention.h"
#include "store/member_codec.h"
#include "store/record_table.h"
#include "store/schema.h"
#include "store/sqlite_database.h"

namespace muster {

// The one connection that writes a file, as the transaction of whoever's turn it is. Several callers' transactions
// share one SQLite transaction; what they touched together is what the commit has to tell caches of.
//
//   Begin → [run, run, …] → Commit     or     Begin → … → Rollback
//
// Used by the file's writer thread alone.
class FileTransaction final : public ShardTransaction, public WriteRecords {
 public:
  // `file` of `file_count` says which rows may be touched: others belong to another file, and touching them aborts.
  static Result<std::unique_ptr<FileTransaction>> Open(Database database, MemberCodec codec, const Clock& clock,
                                                       std::uint32_t file, std::uint32_t file_count,
                                                       const AnswerOptions& answers = {});
  // Where changes get their positions from; before the first Begin. Those of all files of a store are one.
  void UsePositions(ChangePositions& positions) { positions_ = &positions; }

  Result<std::optional<Member>> ReadMember(MemberId id) override;
  Result<void> WriteMember(const Member& member, const Change& change) override;
  Result<void> MarkMember(const Member& member) override;
  Result<std::optional<LookupRow>> ReadLookup(const IdentityKey& key) override;
  Result<void> WriteLookup(const IdentityKey& key, const std::optional<LookupRow>& row) override;
  WriteRecords& records() override { return *this; }
  Result<std::optional<OperationOutcome>> ReadOperation(OperationId id) override;
  Result<void> WriteOperation(OperationId id, OperationOutcome outcome) override;
  Result<std::optional<KeptAnswer>> ReadAnswer(const RequestHash& key, AnswerUse use) override;
  Result<void> WriteAnswer(const RequestHash& key, const KeptAnswer& answer) override;
  Result<std::optional<MergeRecord>> ReadMerge(MemberId target, MemberId source) override;
  Result<void> WriteMerge(MemberId target, MemberId source, const std::optional<MergeRecord>& record) override;

  // Of the `limit` outcomes with the lowest ids deletes those that were recorded before `before`, of operations below
  // `below`; answers how many. Ids follow the time, so these are the oldest; as long as they were recorded under a
  // clock that ran ahead, newer ones stay.
  Result<std::uint64_t> ForgetOperations(Timestamp before, OperationId below, std::int64_t limit);
  // Of the answers deletes up to `limit` that were kept before `before`; answers how many.
  Result<std::uint64_t> ForgetAnswers(Timestamp before, std::int64_t limit);
  // Forgets the oldest changes of the stream, `limit` at most: those that were made before `before`, or are not among
  // the `keep_max` newest of all files. Readers are kept from them first. Answers how many.
  Result<std::uint64_t> ForgetChanges(Timestamp before, std::int64_t keep_max, std::int64_t limit);
  // Of the first file: gives the next `lines` numbers to an import; answers the first. LIMIT_EXCEEDED.
  Result<std::int64_t> ReserveRange(std::uint64_t lines, std::uint16_t first_sequence);
  // Writes a row that means nothing: whether the file can be written.
  Result<void> WriteProbe();

  Result<void> Begin();
  // After an error nothing is committed (WRITES_UNAVAILABLE), or nobody knows what a crash would bring back
  // (OUTCOME_UNKNOWN); either way the transaction has been rolled back for this process.
  Result<void> Commit();
  void Rollback();

  // Before each of the callers' transactions that share this one.
  void StartRun() {
    wrote_ = false;
    failure_.reset();
  }
  // True once a verb that writes was called in this run.
  bool wrote() const { return wrote_; }
  // The first failure of the engine in this run, which must not be committed then.
  const std::optional<Error>& failure() const { return failure_; }
  // False once the engine has rolled everything back by itself, as it does after some failures, also of a verb that
  // only reads: what is written from then on would be committed row by row.
  bool is_open() const { return database_.InTransaction(); }
  // True when that failure is of the file (full, I/O error), so that trying again at once is pointless.
  bool failure_is_of_file() const { return failure_ && failure_->reason == Reason::kWritesUnavailable; }

  // What was written since Begin, with repetitions.
  const std::vector<MemberId>& touched_members() const { return touched_members_; }
  const std::vector<IdentityKey>& touched_keys() const { return touched_keys_; }

  // As of the last commit.
  std::int64_t member_count() const { return committed_.members; }
  // Of the newest change; as of the last commit.
  std::int64_t last_position() const { return committed_.position; }
  // No number of an operation that the file knows is above it; as of the last commit.
  std::int64_t newest_number() const { return committed_.number; }
  // Of answers that are kept, with those that are not committed yet.
  const std::shared_ptr<AnswerShares>& answers() const { return answers_; }
  // Pages in the write-ahead log after the last commit.
  std::int64_t wal_pages() const { return wal_pages_; }
  // False: not all could be moved, try again later.
  Result<bool> RunCheckpoint(Database::Checkpoint kind);

 private:
  struct Counters {
    std::int64_t position = 0;  // of the last change
    std::int64_t members = 0;
    std::int64_t number = 0;  // the newest of an operation
  };

  FileTransaction(Database database, MemberCodec codec, const Clock& clock, std::uint32_t file,
                  std::uint32_t file_count, const AnswerOptions& answers);
  Result<void> Prepare();
  Result<void> ReadCounters();
  Result<void> NoteMark(const Member& member);
  Result<void> UpsertMember(const Member& member, bool probably_new);
  bool Owns(MemberId id) const { return FileOfShard(ShardOf(id), file_count_) == file_; }
  bool Owns(const IdentityKey& key) const { return FileOfShard(ShardOf(key), file_count_) == file_; }
  // Remembers an engine's failure on its way to the caller.
  template <typename T>
  Result<T> Note(Result<T> result);

  Database database_;
  MemberCodec codec_;
  const Clock& clock_;
  const std::uint32_t file_;
  const std::uint32_t file_count_;

  Statement begin_, commit_, rollback_;
  Statement select_member_, insert_member_, update_member_;
  Statement insert_change_, insert_history_;
  Statement select_lookup_, replace_lookup_, delete_lookup_;
  Statement select_operation_, replace_operation_, forget_operations_, replace_probe_;
  Statement select_range_, insert_range_;
  RecordTable records_;
  ChangeRetention retention_;

  ChangePositions* positions_ = nullptr;
  Counters counters_;  // with what is not committed yet
  Counters committed_;
  const std::shared_ptr<AnswerShares> answers_;
  std::vector<AnswerOwner> answered_, forgotten_;  // since Begin, one for each answer
  std::int64_t wal_pages_ = 0;
  bool flushes_ = false;
  bool wrote_ = false;
  std::optional<Error> failure_;
  std::vector<MemberId> touched_members_;
  std::vector<IdentityKey> touched_keys_;
  std::string record_;
  std::string detail_;
};

}  // namespace muster
