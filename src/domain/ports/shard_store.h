#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/clock.h"
#include "base/result.h"
#include "domain/change.h"
#include "domain/ids.h"
#include "domain/member.h"
#include "domain/operations_under_way.h"
#include "domain/ports/shard_rows.h"

namespace muster {

// Why an answer is looked for.
enum class AnswerUse : std::uint8_t {
  kLook,
  kKeep,  // this transaction keeps one if there is none, or one that follows from it and is of the same database
  // The same, of a request whose repetition looks where the shard of the key lives (Idempotency::is_at_key): which is
  // to be this database still.
  kLookAtKey,
  kKeepAtKey,
};

inline bool Keeps(AnswerUse use) { return use == AnswerUse::kKeep || use == AnswerUse::kKeepAtKey; }
inline bool IsAtKey(AnswerUse use) { return use == AnswerUse::kLookAtKey || use == AnswerUse::kKeepAtKey; }

// What a transaction keeps beside members and lookup rows: what became of operations, requests and merges.
class WriteRecords {
 public:
  virtual ~WriteRecords() = default;
  virtual Result<std::optional<OperationOutcome>> ReadOperation(OperationId id) = 0;
  virtual Result<void> WriteOperation(OperationId id, OperationOutcome outcome) = 0;
  // To keep one where there is none: OVERLOADED when the database keeps as many as it may, RATE_LIMITED when this
  // caller does. So that is known before anything has been written. At the key: WRITES_UNAVAILABLE when its shard lives
  // elsewhere by now, or is about to.
  virtual Result<std::optional<KeptAnswer>> ReadAnswer(const RequestHash& key, AnswerUse use) = 0;
  // The same errors.
  virtual Result<void> WriteAnswer(const RequestHash& key, const KeptAnswer& answer) = 0;
  virtual Result<std::optional<MergeRecord>> ReadMerge(MemberId target, MemberId source) = 0;
  virtual Result<void> WriteMerge(MemberId target, MemberId source, const std::optional<MergeRecord>& record) = 0;
};

// One transaction in one database, with the rows of every shard that lives there. Serialisable against every other one.
// Verbs fail with INTERNAL or WRITES_UNAVAILABLE when the engine does; the transaction is then rolled back.
class ShardTransaction {
 public:
  virtual ~ShardTransaction() = default;

  virtual Result<std::optional<Member>> ReadMember(MemberId id) = 0;
  // Inserts or replaces the member, and adds `change` to its history and to the change stream in the same commit.
  virtual Result<void> WriteMember(const Member& member, const Change& change) = 0;
  // Replaces a member that differs in its MoveMark alone, which makes no version and no change.
  virtual Result<void> MarkMember(const Member& member) = 0;

  virtual Result<std::optional<LookupRow>> ReadLookup(const IdentityKey& key) = 0;
  // An empty `row` frees the identity.
  virtual Result<void> WriteLookup(const IdentityKey& key, const std::optional<LookupRow>& row) = 0;

  // Of the same transaction, and gone with it.
  virtual WriteRecords& records() = 0;
};

// The databases over which the 1,024 shards are spread. The binding protocol runs on this port alone: on SQLite files,
// on MariaDB groups, on the memory twin, and in the simulation, which crashes it between any two steps.
class ShardStore {
 public:
  // May run more than once (a group that failed is retried one by one), so it must leave nothing behind but its last
  // result. An error rolls back what it wrote.
  using Transaction = std::move_only_function<Result<void>(ShardTransaction&)>;
  using Done = std::move_only_function<void(Result<void>)>;

  virtual ~ShardStore() = default;

  // Two shards of one database can share a transaction.
  virtual std::uint32_t DatabaseOf(ShardId shard) const = 0;
  std::uint32_t DatabaseOf(MemberId id) const { return DatabaseOf(ShardOf(id)); }
  std::uint32_t DatabaseOf(const IdentityKey& key) const { return DatabaseOf(ShardOf(key)); }

  // Set where this process has the databases for itself: it is told of every operation between reserve and commit.
  // Null: others write to them too, and what they have under way is known by patience alone.
  virtual OperationsUnderWay* under_way() { return nullptr; }

  // Runs `transaction` in `database` and calls `done` once, on any thread, after its commit is durable (or with the
  // error). Errors beside the transaction's own: OVERLOADED (the queue is full; nothing happened), WRITES_UNAVAILABLE
  // (nothing happened), OUTCOME_UNKNOWN (it may have been committed).
  virtual void Run(std::uint32_t database, Transaction transaction, Done done) = 0;

  // The database's own clock, by which the ages of operations are judged.
  virtual Timestamp Now(std::uint32_t database) const = 0;
};

}  // namespace muster
