#include "store/mariadb/transaction.h"

#include <utility>

#include "base/check.h"
#include "store/columns.h"
#include "store/mariadb/tables.h"

namespace muster::mariadb {
namespace {

// When whoever is refused may ask again: the next request finds the shard.
constexpr std::int64_t kShardMovedRetryMs = 100;
constexpr std::int64_t kShardFencedRetryMs = 1'000;

std::int64_t Number(ShardId shard) { return shard.value(); }

}  // namespace

Transaction::Transaction(Session& session, MemberCodec& codec, const Context& context)
    : session_(session), codec_(codec), context_(context) {}

Transaction::RowName Transaction::NameOf(MemberId id) {
  return {.table = Table::kMember, .shard = Number(ShardOf(id)), .number = id.value()};
}
Transaction::RowName Transaction::NameOf(const IdentityKey& key) {
  return {.table = Table::kLookup, .shard = Number(ShardOf(key)), .key = std::string(AsBytes(key))};
}
Transaction::RowName Transaction::NameOf(RecordTable::Kind kind, std::int64_t shard, std::string key) {
  return {.table = Table::kRecord, .shard = shard, .number = static_cast<std::int64_t>(kind), .key = std::move(key)};
}

Result<Transaction::Fence> Transaction::Begin() {
  MUSTER_ASSIGN(const bool found, Note(session_.select_fence.Step()));
  if (!found) {
    fault_ = Fault::kOther;
    failure_ = Error{Reason::kInternal, session_.connection->where() +
                                            ": its fence has no row; the database is damaged: restore all groups from "
                                            "one backup"};
    return std::unexpected(*failure_);
  }
  const Fence fence{.epoch = Epoch(session_.select_fence.Integer(0)),
                    .shards_revision = session_.select_fence.Integer(1)};
  session_.select_fence.Reset();
  return fence;
}

Result<void> Transaction::Ready() {
  if (failure_) return std::unexpected(*failure_);
  if (!context_.deadline.Passed(context_.clock)) return {};
  failure_ =
      Error{Reason::kOverloaded, "the transaction took longer than store.mariadb.transaction_timeout; try again later"};
  failure_->retry_after_ms = 1000;
  return std::unexpected(*failure_);
}

Result<void> Transaction::NeedShard(ShardId shard) {
  if (failure_) return std::unexpected(*failure_);
  const bool is_here = context_.shards.GroupOf(shard) == context_.group;
  if (is_here && !context_.shards.is_fenced(shard)) return {};
  failure_ = Error{Reason::kWritesUnavailable, "shard " + std::to_string(shard.value())};
  if (is_here) {
    failure_->message +=
        " moves to another group, and takes no writes for some seconds; nothing was written, try again";
    failure_->retry_after_ms = kShardFencedRetryMs;
  } else {
    failure_->message += " has moved to another group since the request began; nothing was written, try again";
    failure_->retry_after_ms = kShardMovedRetryMs;
  }
  return std::unexpected(*failure_);
}

Result<Statement*> Transaction::Select(const RowName& row) {
  Statement* select = nullptr;
  switch (row.table) {
    case Table::kMember:
      select = &session_.select_member.Bind(1, row.shard).Bind(2, row.number);
      break;
    case Table::kLookup:
      select = &session_.select_lookup.Bind(1, row.shard).Bind(2, row.key);
      break;
    case Table::kOperation:
      select = &session_.select_operation.Bind(1, row.number);
      break;
    case Table::kRecord:
      select = &session_.select_record.Bind(1, row.shard).Bind(2, row.number).Bind(3, row.key);
      break;
  }
  MUSTER_ASSIGN(const bool found, Note(select->Step()));
  // The row stays in the statement's columns until it is run again.
  select->Reset();
  return found ? select : nullptr;
}

Result<Statement*> Transaction::Read(const RowName& row) {
  MUSTER_TRY(Ready());
  MUSTER_ASSIGN(Statement* const found, Select(row));
  locked_.try_emplace(row, found != nullptr);
  return found;
}

Statement& Transaction::Writer(const RowName& row, Statement& insert, Statement& replace) {
  const auto [seen, is_new] = locked_.try_emplace(row, true);
  if (is_new || seen->second) return replace;
  seen->second = true;
  return insert;
}

// Then there is nothing to delete, and a row that another transaction has made since is not this one's to delete.
bool Transaction::WasAbsent(const RowName& row) const {
  const auto seen = locked_.find(row);
  return seen != locked_.end() && !seen->second;
}

Result<void> Transaction::Validate() {
  // One absent row that was all there was to see was absent at one moment.
  if (locked_.size() == 1) return {};
  for (const auto& [row, is_locked] : locked_) {
    if (is_locked) continue;
    MUSTER_TRY(Ready());
    MUSTER_ASSIGN(const Statement* const found, Select(row));
    if (found == nullptr) continue;
    fault_ = Fault::kConflict;
    failure_ = DescribeFault(fault_, session_.connection->where(), 0, false);
    return std::unexpected(*failure_);
  }
  return {};
}

Result<std::optional<Member>> Transaction::ReadMember(MemberId id) {
  MUSTER_TRY(NeedShard(ShardOf(id)));
  MUSTER_ASSIGN(const Statement* const row, Read(NameOf(id)));
  if (row == nullptr) return std::optional<Member>();
  MUSTER_ASSIGN(Member member, codec_.Decode(id, Version(row->Integer(0)), row->Blob(1)));
  to_announce_.AddIfRecent(member, context_.now);
  return std::optional(std::move(member));
}

Result<void> Transaction::PutMember(const Member& member) {
  MUSTER_TRY(Ready());
  MUSTER_TRY(codec_.Encode(member, record_));
  wrote_ = true;
  const RowName row = NameOf(member.id);
  MUSTER_TRY(Note(Writer(row, session_.insert_member, session_.replace_member)
                      .Bind(1, row.shard)
                      .Bind(2, row.number)
                      .Bind(3, member.version.value())
                      .Bind(4, record_)
                      .Run()));
  return {};
}

Result<void> Transaction::MarkMember(const Member& member) {
  MUSTER_TRY(NeedShard(ShardOf(member.id)));
  MUSTER_TRY(PutMember(member));
  return NoteMark(member);
}

// Keeps what the sweeper finds marked members by. With the commit of a taker the giver's row says something else too.
Result<void> Transaction::NoteMark(const Member& member) {
  if (member.move && member.move->role == MoveMark::Role::kTakes) {
    touched_members_.push_back(member.move->other);
    to_announce_.AddMember(member.move->other, member.move->other_version);
  }
  const RowName row = NameOf(RecordTable::Kind::kMarked, Number(ShardOf(member.id)), RecordTable::KeyOfMark(member.id));
  if (!member.move) return DeleteRecord(row);
  return PutRecord(row, RecordTable::EncodeMark(member.move->operation_id));
}

Result<void> Transaction::WriteMember(const Member& member, const Change& change) {
  MUSTER_CHECK(change.member_id == member.id && change.version == member.version);
  MUSTER_TRY(NeedShard(ShardOf(member.id)));
  MUSTER_TRY(codec_.EncodeDetail(change, detail_));
  MUSTER_TRY(PutMember(member));
  touched_members_.push_back(member.id);
  to_announce_.AddMember(member.id, member.version);
  // Who holds these changes with this commit, also when their lookup rows were written before, in another group.
  for (const Change::IdentityRef& identity : change.identities) {
    touched_keys_.push_back(identity.key);
    to_announce_.AddKey(identity.key);
  }
  // Only these changes take a mark away.
  if (member.move || change.type == ChangeType::kMerged || change.type == ChangeType::kUnmerged) {
    MUSTER_TRY(NoteMark(member));
  }
  const std::int64_t shard = Number(ShardOf(member.id));
  const auto type = static_cast<std::int64_t>(change.type);
  MUSTER_TRY(Note(session_.insert_history.Bind(1, shard)
                      .Bind(2, member.id.value())
                      .Bind(3, member.version.value())
                      .Bind(4, type)
                      .Bind(5, Micros(change.time))
                      .Bind(6, detail_)
                      .Run()));
  wrote_change_ = true;
  MUSTER_TRY(Note(session_.insert_change.Bind(1, shard)
                      .Bind(2, member.id.value())
                      .Bind(3, member.version.value())
                      .Bind(4, type)
                      .Bind(5, Micros(change.time))
                      .Run()));
  return {};
}

Result<std::optional<LookupRow>> Transaction::ReadLookup(const IdentityKey& key) {
  MUSTER_TRY(NeedShard(ShardOf(key)));
  MUSTER_ASSIGN(const Statement* const row, Read(NameOf(key)));
  if (row == nullptr) return std::optional<LookupRow>();
  return std::optional(LookupRow{MemberId(row->Integer(0)), OperationId(row->Integer(1))});
}

Result<void> Transaction::WriteLookup(const IdentityKey& key, const std::optional<LookupRow>& row) {
  MUSTER_TRY(NeedShard(ShardOf(key)));
  MUSTER_TRY(Ready());
  wrote_ = true;
  touched_keys_.push_back(key);
  to_announce_.AddKey(key);
  const RowName name = NameOf(key);
  if (!row) {
    if (WasAbsent(name)) return {};
    MUSTER_TRY(Note(session_.delete_lookup.Bind(1, name.shard).Bind(2, name.key).Run()));
    return {};
  }
  MUSTER_TRY(Note(Writer(name, session_.insert_lookup, session_.replace_lookup)
                      .Bind(1, name.shard)
                      .Bind(2, name.key)
                      .Bind(3, row->member_id.value())
                      .Bind(4, row->operation_id.value())
                      .Run()));
  return {};
}

Result<std::optional<OperationOutcome>> Transaction::ReadOperation(OperationId id) {
  MUSTER_ASSIGN(const Statement* const row, Read({.table = Table::kOperation, .number = id.value()}));
  if (row == nullptr) return std::optional<OperationOutcome>();
  const std::int64_t outcome = row->Integer(0);
  if (outcome != static_cast<int>(OperationOutcome::kCommitted) &&
      outcome != static_cast<int>(OperationOutcome::kAborted)) {
    return Fail(Reason::kInternal, session_.connection->where() + ": operation " + std::to_string(id.value()) +
                                       " has no outcome known to this version of muster; run `muster doctor`");
  }
  return std::optional(static_cast<OperationOutcome>(outcome));
}

Result<void> Transaction::WriteOperation(OperationId id, OperationOutcome outcome) {
  MUSTER_TRY(Ready());
  wrote_ = true;
  MUSTER_TRY(Note(
      Writer({.table = Table::kOperation, .number = id.value()}, session_.insert_operation, session_.replace_operation)
          .Bind(1, id.value())
          .Bind(2, static_cast<std::int64_t>(outcome))
          .Bind(3, Micros(context_.now))
          .Run()));
  return {};
}

Result<void> Transaction::PutRecord(const RowName& row, std::string_view value) {
  MUSTER_TRY(Ready());
  wrote_ = true;
  MUSTER_TRY(Note(Writer(row, session_.insert_record, session_.replace_record)
                      .Bind(1, row.shard)
                      .Bind(2, row.number)
                      .Bind(3, row.key)
                      .Bind(4, Micros(context_.now))
                      .Bind(5, value)
                      .Run()));
  return {};
}

Result<void> Transaction::DeleteRecord(const RowName& row) {
  MUSTER_TRY(Ready());
  wrote_ = true;
  if (WasAbsent(row)) return {};
  MUSTER_TRY(Note(session_.delete_record.Bind(1, row.shard).Bind(2, row.number).Bind(3, row.key).Run()));
  return {};
}

Result<std::optional<KeptAnswer>> Transaction::ReadAnswer(const RequestHash& key, AnswerUse use) {
  if (IsAtKey(use)) MUSTER_TRY(NeedShard(ShardOf(key)));
  MUSTER_ASSIGN(const Statement* const row,
                Read(NameOf(RecordTable::Kind::kAnswer, kNoShard, std::string(AsBytes(key.bytes)))));
  if (row == nullptr) {
    if (Keeps(use)) MUSTER_TRY(context_.answers.Check(OwnerOf(key)));
    return std::optional<KeptAnswer>();
  }
  MUSTER_ASSIGN(KeptAnswer answer, RecordTable::DecodeAnswer(row->Blob(0), codec_));
  // Whoever wrote it may have died before anybody heard of it.
  to_announce_.AddSeen(answer.member);
  MUSTER_TRY(to_announce_.AddFrom(RecordTable::RecordOfAnswer(row->Blob(0))));
  return std::optional(std::move(answer));
}

Result<void> Transaction::WriteAnswer(const RequestHash& key, const KeptAnswer& answer) {
  MUSTER_TRY(NeedShard(ShardOf(answer.member.id)));
  MUSTER_TRY(context_.answers.Take(OwnerOf(key)));
  MUSTER_ASSIGN(std::string value, RecordTable::EncodeAnswer(answer, codec_));
  // Everything that this transaction changes has been written: an answer comes last.
  TouchedRows::AppendTo(value, to_announce_.Take());
  MUSTER_TRY(PutRecord(NameOf(RecordTable::Kind::kAnswer, kNoShard, std::string(AsBytes(key.bytes))), value));
  return {};
}

Result<std::optional<MergeRecord>> Transaction::ReadMerge(MemberId target, MemberId source) {
  MUSTER_TRY(NeedShard(ShardOf(target)));
  MUSTER_ASSIGN(const Statement* const row, Read(NameOf(RecordTable::Kind::kMerge, Number(ShardOf(target)),
                                                        RecordTable::KeyOfMerge(target, source))));
  if (row == nullptr) return std::optional<MergeRecord>();
  MUSTER_ASSIGN(MergeRecord record, RecordTable::DecodeMerge(row->Blob(0)));
  return std::optional(std::move(record));
}

Result<void> Transaction::WriteMerge(MemberId target, MemberId source, const std::optional<MergeRecord>& record) {
  MUSTER_TRY(NeedShard(ShardOf(target)));
  const RowName row =
      NameOf(RecordTable::Kind::kMerge, Number(ShardOf(target)), RecordTable::KeyOfMerge(target, source));
  if (!record) return DeleteRecord(row);
  return PutRecord(row, RecordTable::EncodeMerge(*record));
}

}  // namespace muster::mariadb
