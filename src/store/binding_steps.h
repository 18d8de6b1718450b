#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "domain/change.h"
#include "domain/ports/shard_store.h"
#include "domain/ports/write_context.h"

namespace muster {

// The steps of the binding protocol, each a plain function inside one transaction; binding.cc composes them, in one
// transaction when all rows live in one database and in several when not.
//
//   lookup row (the identity's shard)                 member row, operation row (the member's shard)
//
//   FREE ──Reserve──► HELD(M, op) ──────────────────► MayCommit → Commit → op COMMITTED   (M lists the identity)
//    ▲                   │  ▲                              ▲
//    │                   │  └ Replace(N, old → M, op)      └ false once Settle recorded op ABORTED
//    └──Replace(→ FREE)──┘    when Settle(N, old) says dangling
//
// Each of them reads before it writes, and what it refuses it refuses before it writes: a store that commits in groups
// can then leave a refused transaction in its group. (One that settled a row and was then refused by another has
// written; the store runs its group again one by one.)

// An attempt at a write that reserves identities. A repetition of it is a new operation.
struct Operation {
  OperationId id;
  MemberId member_id;
  Timestamp begun_at{};  // by the clock of the member's database, before the first reservation

  LookupRow Claim() const { return {member_id, id}; }
};

// In the identity's shard. Takes the lookup row from FREE to `claim`; one that is `claim` already stays. Answers the
// row that is in the way, when there is one; nothing is written then.
Result<std::optional<LookupRow>> Reserve(ShardTransaction& transaction, const IdentityKey& key, const LookupRow& claim);

// In the shard of the member that the lookup row names: neither has the row's operation an outcome nor does the member
// hold the identity. It may be about to.
Result<bool> IsUndecided(ShardTransaction& transaction, const IdentityKey& key, const LookupRow& row);

// In the shard of the member that the lookup row names. Answers that member when it holds the identity. When not, the
// row is dangling, and from now on stays so: its operation is recorded as aborted, unless it has an outcome (COMMITTED:
// the identity was bound by it and has been unbound since).
Result<std::optional<Member>> Settle(ShardTransaction& transaction, const IdentityKey& key, const LookupRow& row);

// In the identity's shard: compares and swaps the lookup row; `next` empty frees it. False: it is not `expected`, and
// nothing was written.
Result<bool> Replace(ShardTransaction& transaction, const IdentityKey& key, const LookupRow& expected,
                     const std::optional<LookupRow>& next);

// In the member's shard, in the transaction that commits. False: another writer has aborted the operation, or it is
// older than kOperationAgeMax; it must not commit then. (When it does, kCommitted is written with it.)
Result<bool> MayCommit(ShardTransaction& transaction, const ShardStore& shards, const Operation& operation);

// In the member's shard, before anything else of a request that may have been sent before: what it was answered then.
// IDEMPOTENCY_MISMATCH: its key came with other content.
Result<std::optional<Member>> FindAnswer(ShardTransaction& transaction, const WriteContext& context, AnswerUse use);

// `answer` as what FindAnswer found, of which the request is told.
Member Replay(Member answer, const WriteContext& context);

// Whether nothing but a change of things, or of the request, makes it succeed. Over several transactions the thing may
// have been changed by the request itself, sent twice: who refuses then looks for its answer once more.
bool IsRefusal(const Error& error);

// In the member's shard, in the transaction that commits: keeps the answer for when the request is sent again.
Result<void> KeepAnswer(ShardTransaction& transaction, const WriteContext& context, const Member& member);

// One change of one member as a pure function: applies it and raises the version, or answers false when there is
// nothing to change, or refuses.
struct Edit {
  ChangeType type = ChangeType::kUpdated;
  std::vector<std::string> fields;  // that it names
  std::function<Result<bool>(Member&, Timestamp now)> apply;
};

struct Commitment {
  Member member;                // as it is after the commit
  std::vector<Identity> freed;  // which it held before and does not hold any more
  bool is_marked = false;       // it gives what it holds to another (MoveMark): nothing was written
};

// In the member's shard: checks the caller's conditions, applies `edit` and writes member and change row.
// MEMBER_NOT_FOUND, VERSION_MISMATCH, and what the edit refuses.
Result<Commitment> Commit(ShardTransaction& transaction, MemberId id, const Edit& edit, const WriteContext& context,
                          Timestamp now);

// The change row of a member that did not exist before.
Change CreationOf(const Member& member, ChangeType type, const WriteContext& context, Timestamp now);

}  // namespace muster
