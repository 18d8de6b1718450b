#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "domain/change.h"
#include "domain/ports/shard_store.h"
#include "store/mariadb/touched_rows.h"

namespace muster::sim {

// What a row is locked by.
struct RowLock {
  enum class Table : std::uint8_t { kMember, kLookup, kOperation, kAnswer, kMerge };
  Table table = Table::kMember;
  std::int64_t number = 0;
  std::array<std::uint8_t, 16> key{};
  friend auto operator<=>(const RowLock&, const RowLock&) = default;
};

// An answer that is kept, with what the caches are told when it is given again.
struct KeptRow {
  KeptAnswer answer = {};
  TouchedEntries touched = {};
};

// What one transaction writes: an entry of the log.
struct GroupCommit {
  std::vector<Member> members = {};
  std::vector<std::pair<IdentityKey, std::optional<LookupRow>>> lookups = {};
  std::vector<std::pair<OperationId, OperationOutcome>> operations = {};
  std::vector<std::pair<RequestHash, KeptRow>> answers = {};
  std::vector<std::pair<std::pair<MemberId, MemberId>, std::optional<MergeRecord>>> merges = {};
  std::vector<Change> changes = {};
  std::optional<Epoch> fence = {};
  std::vector<RowLock> locks = {};  // of all rows that it has read or written, until it is committed

  bool Writes() const {
    return !members.empty() || !lookups.empty() || !operations.empty() || !answers.empty() || !merges.empty() || fence;
  }
};

// The rows of a database at one place of its log.
struct GroupRows {
  std::map<MemberId, Member> members = {};
  std::map<IdentityKey, LookupRow> lookups = {};
  std::map<OperationId, OperationOutcome> operations = {};
  std::map<RequestHash, KeptRow> answers = {};
  std::map<std::pair<MemberId, MemberId>, MergeRecord> merges = {};
  Epoch fence{0};

  void Apply(const GroupCommit& commit);
};

// A transaction on the rows of the primary. What it makes the caches hear of is gathered as the store on MariaDB does
// (store/mariadb/transaction.cc).
class GroupTransaction final : public ShardTransaction, public WriteRecords {
 public:
  // `vouches`: it tells of what it saw and others may have committed.
  GroupTransaction(const GroupRows& rows, Timestamp now, bool vouches) : rows_(rows), now_(now), vouches_(vouches) {}

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

  const GroupCommit& commit() const { return commit_; }
  TouchedEntries ToAnnounce() const { return to_announce_.Take(); }

 private:
  void Lock(RowLock::Table table, std::int64_t number, const std::array<std::uint8_t, 16>& key = {});

  const GroupRows& rows_;
  const Timestamp now_;
  const bool vouches_;
  GroupCommit commit_;
  mariadb::TouchedRows to_announce_;
};

}  // namespace muster::sim
