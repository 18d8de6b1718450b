#include "store/file_transaction.h"

#include <sqlite3.h>

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "domain/id_allocator.h"
#include "store/columns.h"
#include "store/numbers.h"

namespace muster {
namespace {

// As `PRAGMA synchronous` tells it: every commit is flushed before it is visible.
constexpr std::int64_t kSynchronousFull = 2;

// The newest number of an operation that the member knows. Those of imported lines are of a space of their own.
std::int64_t NewestNumberOf(const Member& member) {
  std::int64_t newest = IdAllocator::IsOfRange(member.created_by.value()) ? 0 : member.created_by.value();
  for (const Identity& identity : member.identities) newest = std::max(newest, identity.bound_by.value());
  if (member.move) newest = std::max(newest, member.move->operation_id.value());
  return newest;
}

}  // namespace

FileTransaction::FileTransaction(Database database, MemberCodec codec, const Clock& clock, std::uint32_t file,
                                 std::uint32_t file_count, const AnswerOptions& answers)
    : database_(std::move(database)),
      codec_(std::move(codec)),
      clock_(clock),
      file_(file),
      file_count_(file_count),
      answers_(std::make_shared<AnswerShares>(answers)) {}

Result<std::unique_ptr<FileTransaction>> FileTransaction::Open(Database database, MemberCodec codec, const Clock& clock,
                                                               std::uint32_t file, std::uint32_t file_count,
                                                               const AnswerOptions& answers) {
  std::unique_ptr<FileTransaction> transaction(
      new FileTransaction(std::move(database), std::move(codec), clock, file, file_count, answers));
  MUSTER_TRY(transaction->Prepare());
  return transaction;
}

Result<void> FileTransaction::Prepare() {
  database_.CountWalPages(&wal_pages_);
  MUSTER_ASSIGN(const std::int64_t synchronous, database_.ReadInteger("PRAGMA synchronous"));
  flushes_ = synchronous == kSynchronousFull;
  MUSTER_ASSIGN(begin_, database_.Prepare("BEGIN IMMEDIATE"));
  MUSTER_ASSIGN(commit_, database_.Prepare("COMMIT"));
  MUSTER_ASSIGN(rollback_, database_.Prepare("ROLLBACK"));
  MUSTER_ASSIGN(select_member_, database_.Prepare("SELECT version, record FROM member WHERE id = ?1"));
  MUSTER_ASSIGN(insert_member_,
                database_.Prepare("INSERT OR IGNORE INTO member(id, version, record) VALUES(?1, ?2, ?3)"));
  MUSTER_ASSIGN(update_member_, database_.Prepare("UPDATE member SET version = ?2, record = ?3 WHERE id = ?1"));
  MUSTER_ASSIGN(insert_change_,
                database_.Prepare("INSERT INTO change(position, member_id, version, type, time, members, number) "
                                  "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
  MUSTER_ASSIGN(insert_history_, database_.Prepare("INSERT INTO history(member_id, version, type, time, detail) "
                                                   "VALUES(?1, ?2, ?3, ?4, ?5)"));
  MUSTER_ASSIGN(select_lookup_, database_.Prepare("SELECT member_id, operation_id FROM identity WHERE key = ?1"));
  MUSTER_ASSIGN(replace_lookup_,
                database_.Prepare("INSERT INTO identity(key, member_id, operation_id) VALUES(?1, ?2, ?3) "
                                  "ON CONFLICT(key) DO UPDATE SET member_id = ?2, operation_id = ?3"));
  MUSTER_ASSIGN(delete_lookup_, database_.Prepare("DELETE FROM identity WHERE key = ?1"));
  MUSTER_ASSIGN(select_operation_, database_.Prepare("SELECT outcome FROM operation WHERE id = ?1"));
  MUSTER_ASSIGN(replace_operation_, database_.Prepare("INSERT INTO operation(id, outcome, time) VALUES(?1, ?2, ?3) "
                                                      "ON CONFLICT(id) DO UPDATE SET outcome = ?2, time = ?3"));
  // Looks at the oldest alone, which are those with the lowest ids: there is no index by time.
  MUSTER_ASSIGN(forget_operations_, database_.Prepare("DELETE FROM operation WHERE time < ?1 AND id < ?3 AND id IN "
                                                      "(SELECT id FROM operation ORDER BY id LIMIT ?2)"));
  MUSTER_ASSIGN(replace_probe_, database_.Prepare("INSERT INTO meta(name, value) VALUES('probe', '1') "
                                                  "ON CONFLICT(name) DO UPDATE SET value = value + 1"));
  MUSTER_ASSIGN(select_range_, database_.Prepare("SELECT first, lines FROM import_range ORDER BY first DESC LIMIT 1"));
  MUSTER_ASSIGN(insert_range_, database_.Prepare("INSERT INTO import_range(first, lines) VALUES(?1, ?2)"));
  MUSTER_TRY(records_.Prepare(database_));
  MUSTER_TRY(retention_.Prepare(database_));
  return ReadCounters();
}

Result<void> FileTransaction::ReadCounters() {
  MUSTER_ASSIGN(Statement last,
                database_.Prepare("SELECT position, members, number, time FROM change ORDER BY position DESC LIMIT 1"));
  MUSTER_ASSIGN(const bool found, last.Step());
  if (found) {
    committed_ = {.position = last.Integer(0), .members = last.Integer(1), .number = last.Integer(2)};
    // A change from before numbers were kept: its operation began before the millisecond after it.
    const Timestamp time{Duration(last.Integer(3))};
    if (committed_.number == 0) committed_.number = IdAllocator::LowestAt(time + std::chrono::milliseconds(1));
  }
  MUSTER_ASSIGN(Statement newest, database_.Prepare("SELECT id FROM operation ORDER BY id DESC"));
  for (;;) {
    MUSTER_ASSIGN(const bool more, newest.Step());
    if (!more) break;
    const std::int64_t id = newest.Integer(0);
    if (IdAllocator::IsOfRange(id)) continue;
    committed_.number = std::max(committed_.number, id);
    break;
  }
  newest.Reset();
  MUSTER_ASSIGN(const std::optional<std::int64_t> marked, records_.NewestMark(database_));
  if (marked) committed_.number = std::max(committed_.number, *marked);
  if (!IsPlausibleNumber(committed_.number)) {
    return Fail(Reason::kInternal, database_.path() +
                                       ": its newest number is of a year after 2200: the file is damaged, or was "
                                       "written under such a clock; run `muster doctor`, or restore all files from one "
                                       "backup");
  }
  MUSTER_ASSIGN(AnswerShares::Counts answers, records_.CountAnswers(database_));
  answers_->Set(std::move(answers));
  counters_ = committed_;
  return {};
}

template <typename T>
Result<T> FileTransaction::Note(Result<T> result) {
  if (!result && !failure_) failure_ = result.error();
  return result;
}

Result<std::optional<Member>> FileTransaction::ReadMember(MemberId id) {
  MUSTER_CHECK(Owns(id));
  MUSTER_ASSIGN(const bool found, Note(select_member_.Bind(1, id.value()).Step()));
  if (!found) return std::optional<Member>();
  Result<Member> member = codec_.Decode(id, Version(select_member_.Integer(0)), select_member_.Blob(1));
  select_member_.Reset();
  if (!member) return std::unexpected(std::move(member).error());
  return std::optional(*std::move(member));
}

Result<void> FileTransaction::UpsertMember(const Member& member, bool probably_new) {
  const auto run = [&](Statement& statement) -> Result<bool> {
    MUSTER_TRY(statement.Bind(1, member.id.value()).Bind(2, member.version.value()).BindBlob(3, record_).Run());
    return database_.RowsChanged() == 1;
  };
  if (!probably_new) {
    MUSTER_ASSIGN(const bool updated, run(update_member_));
    if (updated) return {};
  }
  MUSTER_ASSIGN(const bool inserted, run(insert_member_));
  if (inserted) {
    ++counters_.members;
    return {};
  }
  MUSTER_TRY(run(update_member_));
  return {};
}

Result<void> FileTransaction::MarkMember(const Member& member) {
  MUSTER_CHECK(Owns(member.id));
  MUSTER_TRY(codec_.Encode(member, record_));
  wrote_ = true;
  MUSTER_TRY(Note(UpsertMember(member, false)));
  return NoteMark(member);
}

// Keeps what the sweeper finds marked members by. With the commit of a taker the giver's row says something else too.
Result<void> FileTransaction::NoteMark(const Member& member) {
  if (member.move && member.move->role == MoveMark::Role::kTakes) touched_members_.push_back(member.move->other);
  const std::optional<OperationId> operation = member.move ? std::optional(member.move->operation_id) : std::nullopt;
  return Note(records_.NoteMarked(member.id, operation, clock_.Now()));
}

Result<void> FileTransaction::WriteMember(const Member& member, const Change& change) {
  MUSTER_CHECK(Owns(member.id) && change.member_id == member.id && change.version == member.version);
  MUSTER_TRY(codec_.Encode(member, record_));
  MUSTER_TRY(codec_.EncodeDetail(change, detail_));
  wrote_ = true;
  touched_members_.push_back(member.id);
  // Who holds these changes with this commit, also when their lookup rows live, and were written before, in another
  // file: a cache may have learnt meanwhile that nobody holds them.
  for (const Change::IdentityRef& identity : change.identities) touched_keys_.push_back(identity.key);
  const bool probably_new = change.type == ChangeType::kRegistered || change.type == ChangeType::kImported;
  MUSTER_TRY(Note(UpsertMember(member, probably_new)));
  // Only these changes take a mark away.
  if (member.move || change.type == ChangeType::kMerged || change.type == ChangeType::kUnmerged) {
    MUSTER_TRY(NoteMark(member));
  }
  const auto type = static_cast<std::int64_t>(change.type);
  MUSTER_TRY(Note(insert_history_.Bind(1, member.id.value())
                      .Bind(2, member.version.value())
                      .Bind(3, type)
                      .Bind(4, Micros(change.time))
                      .BindBlob(5, detail_)
                      .Run()));
  counters_.number = std::max(counters_.number, NewestNumberOf(member));
  counters_.position = positions_->Take();
  return Note(insert_change_.Bind(1, counters_.position)
                  .Bind(2, member.id.value())
                  .Bind(3, member.version.value())
                  .Bind(4, type)
                  .Bind(5, Micros(change.time))
                  .Bind(6, counters_.members)
                  .Bind(7, counters_.number)
                  .Run());
}

Result<std::optional<LookupRow>> FileTransaction::ReadLookup(const IdentityKey& key) {
  MUSTER_CHECK(Owns(key));
  MUSTER_ASSIGN(const bool found, Note(select_lookup_.BindBlob(1, AsBytes(key)).Step()));
  if (!found) return std::optional<LookupRow>();
  const LookupRow row{MemberId(select_lookup_.Integer(0)), OperationId(select_lookup_.Integer(1))};
  select_lookup_.Reset();
  return std::optional(row);
}

Result<void> FileTransaction::WriteLookup(const IdentityKey& key, const std::optional<LookupRow>& row) {
  MUSTER_CHECK(Owns(key));
  wrote_ = true;
  touched_keys_.push_back(key);
  if (!row) return Note(delete_lookup_.BindBlob(1, AsBytes(key)).Run());
  return Note(replace_lookup_.BindBlob(1, AsBytes(key))
                  .Bind(2, row->member_id.value())
                  .Bind(3, row->operation_id.value())
                  .Run());
}

Result<std::optional<OperationOutcome>> FileTransaction::ReadOperation(OperationId id) {
  MUSTER_ASSIGN(const bool found, Note(select_operation_.Bind(1, id.value()).Step()));
  if (!found) return std::optional<OperationOutcome>();
  const std::int64_t outcome = select_operation_.Integer(0);
  select_operation_.Reset();
  if (outcome != static_cast<int>(OperationOutcome::kCommitted) &&
      outcome != static_cast<int>(OperationOutcome::kAborted)) {
    return Fail(Reason::kInternal, database_.path() + ": operation " + std::to_string(id.value()) +
                                       " has no outcome known to this version of muster; run `muster doctor`");
  }
  return std::optional(static_cast<OperationOutcome>(outcome));
}

Result<void> FileTransaction::WriteOperation(OperationId id, OperationOutcome outcome) {
  wrote_ = true;
  return Note(replace_operation_.Bind(1, id.value())
                  .Bind(2, static_cast<std::int64_t>(outcome))
                  .Bind(3, Micros(clock_.Now()))
                  .Run());
}

Result<std::optional<KeptAnswer>> FileTransaction::ReadAnswer(const RequestHash& key, AnswerUse use) {
  Result<std::optional<KeptAnswer>> answer = Note(records_.ReadAnswer(key, codec_));
  if (answer && !*answer && Keeps(use)) MUSTER_TRY(answers_->Check(OwnerOf(key)));
  return answer;
}

Result<void> FileTransaction::WriteAnswer(const RequestHash& key, const KeptAnswer& answer) {
  MUSTER_CHECK(Owns(answer.member.id));
  MUSTER_TRY(answers_->Take(OwnerOf(key)));
  answered_.push_back(OwnerOf(key));
  wrote_ = true;
  return Note(records_.WriteAnswer(key, answer, clock_.Now(), codec_));
}

Result<std::uint64_t> FileTransaction::ForgetAnswers(Timestamp before, std::int64_t limit) {
  MUSTER_ASSIGN(const std::vector<AnswerOwner> forgotten, Note(records_.ForgetAnswers(before, limit)));
  forgotten_.insert(forgotten_.end(), forgotten.begin(), forgotten.end());
  wrote_ = wrote_ || !forgotten.empty();
  return forgotten.size();
}

Result<std::optional<MergeRecord>> FileTransaction::ReadMerge(MemberId target, MemberId source) {
  MUSTER_CHECK(Owns(target));
  return Note(records_.ReadMerge(target, source));
}

Result<void> FileTransaction::WriteMerge(MemberId target, MemberId source, const std::optional<MergeRecord>& record) {
  MUSTER_CHECK(Owns(target));
  wrote_ = true;
  return Note(records_.WriteMerge(target, source, record, clock_.Now()));
}

Result<std::uint64_t> FileTransaction::ForgetOperations(Timestamp before, OperationId below, std::int64_t limit) {
  MUSTER_TRY(Note(forget_operations_.Bind(1, Micros(before)).Bind(2, limit).Bind(3, below.value()).Run()));
  const auto forgotten = static_cast<std::uint64_t>(database_.RowsChanged());
  wrote_ = wrote_ || forgotten > 0;  // the commit of nothing says nothing about the disk
  return forgotten;
}

Result<std::uint64_t> FileTransaction::ForgetChanges(Timestamp before, std::int64_t keep_max, std::int64_t limit) {
  const std::int64_t surplus = positions_->Readable() - keep_max;
  MUSTER_ASSIGN(const ForgottenChanges found, Note(retention_.Find(before, surplus, counters_.position, limit)));
  if (found.count == 0) return 0;
  // Before the commit: who reads a snapshot without them knows that they are gone.
  positions_->Expire(found.to);
  wrote_ = true;
  MUSTER_TRY(Note(retention_.Forget(found)));
  return static_cast<std::uint64_t>(found.count);
}

Result<std::int64_t> FileTransaction::ReserveRange(std::uint64_t lines, std::uint16_t first_sequence) {
  MUSTER_CHECK(file_ == 0);
  MUSTER_ASSIGN(const bool found, Note(select_range_.Step()));
  const std::int64_t first_before = found ? select_range_.Integer(0) : 0;
  const std::int64_t lines_before = found ? select_range_.Integer(1) : 0;
  select_range_.Reset();
  if (found && !IsPlausibleRange(first_before, lines_before)) {
    return Fail(Reason::kInternal, database_.path() +
                                       ": its newest import_range is none: the file is damaged; run `muster doctor`, "
                                       "and restore all files from one backup");
  }
  const std::int64_t newest =
      found ? IdAllocator::IdOfRange(first_before, static_cast<std::uint64_t>(lines_before) - 1) : 0;
  const std::optional<std::int64_t> first = IdAllocator::FirstOfRange(clock_.Now(), first_sequence, newest, lines);
  if (!first)
    return Fail(Reason::kLimitExceeded, "there are no numbers for imports after the year 2248: is the clock right?");
  wrote_ = true;
  MUSTER_TRY(Note(insert_range_.Bind(1, *first).Bind(2, static_cast<std::int64_t>(lines)).Run()));
  return *first;
}

Result<void> FileTransaction::WriteProbe() {
  wrote_ = true;
  return Note(replace_probe_.Run());
}

Result<void> FileTransaction::Begin() {
  StartRun();
  touched_members_.clear();
  touched_keys_.clear();
  answered_.clear();
  forgotten_.clear();
  MUSTER_TRY(begin_.Run());
  positions_->Begin(file_);
  return {};
}

Result<void> FileTransaction::Commit() {
  Result<void> done = flushes_ ? database_.CommitGathered(commit_) : commit_.Run();
  if (done) {
    committed_ = counters_;
    for (const AnswerOwner owner : forgotten_) answers_->Return(owner);
    positions_->End(file_, committed_.position);
    return {};
  }
  // SQLite writes the frames of the log, the last of which makes the commit, then flushes, then makes them visible.
  // When writing failed that last frame is not whole, and recovery will not take it. When anything later failed, the
  // frames may be on the disk: this process rolls them back and writes over them next, but a crash before that may
  // bring them back. (walFrames in SQLite's wal.c)
  const int code = database_.ExtendedErrorCode();
  const bool not_written = code == SQLITE_FULL || code == SQLITE_IOERR_WRITE || (code & 0xFF) == SQLITE_BUSY;
  Error error = done.error();
  error.reason = not_written ? Reason::kWritesUnavailable : Reason::kOutcomeUnknown;
  Rollback();
  return std::unexpected(std::move(error));
}

void FileTransaction::Rollback() {
  counters_ = committed_;
  for (const AnswerOwner owner : answered_) answers_->Return(owner);
  // Some failures roll back by themselves. A rollback in memory cannot fail in a way that leaves the transaction open.
  if (database_.InTransaction()) {
    const Result<void> rolled_back = rollback_.Run();
    MUSTER_CHECK(rolled_back || !database_.InTransaction());
  }
  positions_->End(file_, committed_.position);
}

Result<bool> FileTransaction::RunCheckpoint(Database::Checkpoint kind) {
  MUSTER_ASSIGN(const bool whole, database_.RunCheckpoint(kind));
  if (whole) wal_pages_ = 0;
  return whole;
}

}  // namespace muster
