#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "domain/ports/shard_store.h"
#include "store/answer_shares.h"
#include "store/mariadb/session.h"
#include "store/mariadb/touched_rows.h"
#include "store/member_codec.h"
#include "store/record_table.h"
#include "topology/shard_map.h"

namespace muster::mariadb {

// One transaction of a session, serialisable although the engine runs it at READ COMMITTED:
//
//   Begin → verbs → Validate → COMMIT or ROLLBACK
//
// Every row that is read is locked until the end. A row that is absent cannot be locked. Whoever writes it then inserts
// it, which fails when another one was faster (kDuplicate: run it all again). Rows that were read as absent and not
// written are read again by Validate, when all is written: if one has appeared, the transaction runs again (kConflict).
//
// Why that suffices: let T read a row as absent that U inserts. If U inserts before T validates, T waits for U's commit
// and sees the row; so T validated before U inserted, and so before U validates. All other dependencies are locks,
// which T holds until after it has validated, and U takes before it validates. So every dependency goes from an earlier
// to a later validation, and there is no cycle.
//
// The first failure of the engine ends it: every later verb answers the same.
class Transaction final : public ShardTransaction, public WriteRecords {
 public:
  struct Context {
    std::uint32_t group;
    const ShardMap& shards;
    const Clock& clock;  // of deadlines
    Deadline deadline;
    Timestamp now;  // what is recorded now has this time: the group's clock
    AnswerShares& answers;
  };
  Transaction(Session& session, MemberCodec& codec, const Context& context);

  struct Fence {
    Epoch epoch;                       // of the lease under which it has to be written
    std::int64_t shards_revision = 0;  // of the oldest map that may be written by
  };
  // Locks it until the end.
  Result<Fence> Begin();
  Result<void> Validate();

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

  // For what the group does itself; errors are to be given to Note.
  Session& session() { return session_; }
  Timestamp now() const { return context_.now; }
  void NoteWrite() { wrote_ = true; }
  template <typename T>
  Result<T> Note(Result<T> result);

  bool wrote() const { return wrote_; }
  // There is something new in the outbox.
  bool wrote_change() const { return wrote_change_; }
  // The first failure of the engine, and what it means.
  const std::optional<Error>& failure() const { return failure_; }
  Fault fault() const { return fault_; }

  // What the caches of all centers have to hear of before this is acknowledged.
  TouchedEntries ToAnnounce() const { return to_announce_.Take(); }
  // What was written, with repetitions.
  const std::vector<MemberId>& touched_members() const { return touched_members_; }
  const std::vector<IdentityKey>& touched_keys() const { return touched_keys_; }

 private:
  enum class Table : std::uint8_t { kMember, kLookup, kOperation, kRecord };
  struct RowName {
    Table table;
    std::int64_t shard = 0;
    std::int64_t number = 0;  // id of a member or an operation; kind of a record
    std::string key = {};     // of a lookup row or a record
    friend auto operator<=>(const RowName&, const RowName&) = default;
  };
  static RowName NameOf(MemberId id);
  static RowName NameOf(const IdentityKey& key);
  static RowName NameOf(RecordTable::Kind kind, std::int64_t shard, std::string key);

  // Fails when the engine has failed or the time is up.
  Result<void> Ready();
  // The row's select, on its row; null: there is none.
  Result<Statement*> Select(const RowName& row);
  Result<Statement*> Read(const RowName& row);
  // The statement that writes the row: an insert where it was read as absent.
  Statement& Writer(const RowName& row, Statement& insert, Statement& replace);
  bool WasAbsent(const RowName& row) const;
  Result<void> PutMember(const Member& member);
  Result<void> NoteMark(const Member& member);
  Result<void> PutRecord(const RowName& row, std::string_view value);
  Result<void> DeleteRecord(const RowName& row);
  // WRITES_UNAVAILABLE: the shard lives in another group, where whoever asked for it here finds it now, or is about to.
  Result<void> NeedShard(ShardId shard);

  Session& session_;
  MemberCodec& codec_;
  const Context context_;
  std::map<RowName, bool> locked_;  // rows that were read or written; false: absent, and nobody is kept from making it
  bool wrote_ = false;
  bool wrote_change_ = false;
  std::optional<Error> failure_;
  Fault fault_ = Fault::kNone;
  std::vector<MemberId> touched_members_;
  std::vector<IdentityKey> touched_keys_;
  TouchedRows to_announce_;
  std::string record_;
  std::string detail_;
};

template <typename T>
Result<T> Transaction::Note(Result<T> result) {
  if (!result && !failure_) {
    failure_ = result.error();
    fault_ = session_.connection->last_fault();
  }
  return result;
}

}  // namespace muster::mariadb
