#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/task.h"
#include "base/timer.h"
#include "domain/ports/member_writer.h"
#include "domain/ports/shard_store.h"
#include "store/binding_steps.h"
#include "store/move_settler.h"

namespace muster {

// How an attempt to reserve identities and commit ended, when it did not fail.
struct Claimed {
  enum class Verdict : std::uint8_t {
    kNone,       // the transaction failed; its error says why
    kCommitted,  // `member` is as committed
    kTaken,      // `member` holds `key`
    kElsewhere,  // `key` is held by a member of another database: one transaction does not do
    kReplayed,   // the request has been answered before: `member` is that answer
    kAgain,      // aborted or too old, or the commit step asks for it: a new operation may succeed
  };
  Verdict verdict = Verdict::kNone;
  std::optional<Member> member;
  IdentityKey key;
};

// Checks and writes the member, in a transaction that may run more than once, and also to see what it would refuse
// (its writes then go nowhere). Empty: give up this operation and begin another one; nothing has been written.
using CommitStep = std::function<Result<std::optional<Member>>(ShardTransaction&, Timestamp now)>;

// The composition of the steps in binding_steps.h: reserves identities for an operation and commits, in one transaction
// when all rows live in one database and in several when not. Thread-safe.
//
//                       all keys in the member's database?
//                      yes │                          │ no
//                          ▼                          ▼
//   ClaimWithin: one transaction ──kElsewhere──► ClaimAcross: for each key, in key order, ReserveAcross (Reserve, and
//     reads all rows, commits, writes the rows     when a row is in the way Settle and Replace); then CommitAcross;
//                                                  what is refused is released
//
// ClaimWithin aborts whom it finds between reserve and commit; it ends in the same transaction. ClaimAcross waits a
// while first (kPatienceWith…): two that abort each other at each step would never end.
//
// A request with a key may be under way twice. ClaimWithin looks for its answer in its one transaction; ClaimAcross
// before it reserves, in the commit, and after a refusal (models/idempotency.pml says why thrice).
class ClaimProtocol {
 public:
  ClaimProtocol(ShardStore& shards, const Clock& clock, Timer& timer, MoveWaiter& moves)
      : shards_(shards), clock_(clock), timer_(timer), moves_(moves) {}

  // `keys` sorted, without duplicates. The references must live until the task ends. kCommitted, kReplayed, kTaken or
  // kAgain; errors are those of `commit` and of the store, OVERLOADED when an identity keeps changing hands,
  // DEADLINE_EXCEEDED. Except after OUTCOME_UNKNOWN, nothing is left but what was committed.
  Task<Result<Claimed>> Claim(const Operation& operation, const std::vector<IdentityKey>& keys,
                              const CommitStep& commit, const WriteContext& context);

  // Compares and swaps lookup rows that nobody waits for: if it fails, or the process ends before, they dangle, which
  // is harmless.
  struct Swap {
    IdentityKey key;
    LookupRow expected;
    std::optional<LookupRow> next;
  };
  void SwapInBackground(const std::vector<Swap>& swaps);

  // DEADLINE_EXCEEDED when it has passed. Asked before each step and again inside each commit, which may have waited.
  Result<void> CheckDeadline(const WriteContext& context) const;

  // A step before the commit leaves no trace that matters, whether it happened or not: OUTCOME_UNKNOWN becomes
  // WRITES_UNAVAILABLE.
  static Result<void> NothingWritten(Result<void> result);

 private:
  // What stands in the way of a claim to one identity.
  struct Standing {
    std::optional<Member> holder;       // a member that holds it
    std::optional<LookupRow> stranger;  // a row whose owner lives in another database
    std::optional<LookupRow> rival;     // a row whose operation may still be under way
  };
  // How long one reservation that is in the way of an operation has been waited for.
  struct Patience {
    OperationId operation_id;
    std::optional<LookupRow> rival = {};
    Instant since = {};
    int looks = 0;
  };

  Task<Result<Claimed>> ClaimWithin(const Operation& operation, const std::vector<IdentityKey>& keys,
                                    const CommitStep& commit, const WriteContext& context);
  Task<Result<Claimed>> ClaimAcross(const Operation& operation, const std::vector<IdentityKey>& keys,
                                    const CommitStep& commit, const WriteContext& context);
  Task<Result<Claimed>> ReserveAndCommit(const Operation& operation, const std::vector<IdentityKey>& keys,
                                         const CommitStep& commit, const WriteContext& context);
  Task<Result<Claimed>> CommitAcross(const Operation& operation, const std::vector<IdentityKey>& held,
                                     const CommitStep& commit, const WriteContext& context);
  Task<Result<Claimed>> FindAnswerAcross(const Operation& operation, const WriteContext& context, AnswerUse use);
  Task<Result<Claimed>> ReserveAcross(const Operation& operation, std::span<const IdentityKey> keys,
                                      const CommitStep& commit, const WriteContext& context);
  Task<Result<void>> Rehearse(const Operation& operation, const CommitStep& commit, const WriteContext& context);
  Task<Result<Claimed>> FindTaken(const Operation& operation, std::span<const IdentityKey> keys,
                                  const WriteContext& context);
  Result<Standing> Examine(ShardTransaction& transaction, std::uint32_t database, const IdentityKey& key,
                           const LookupRow& row, const Patience* patience) const;
  Result<Standing> Judge(ShardTransaction& transaction, const IdentityKey& key, const LookupRow& row,
                         const Patience* patience) const;
  bool MayWait(const LookupRow& rival, const Patience& patience) const;
  Task<bool> Wait(const LookupRow& rival, Patience& patience, const WriteContext& context);
  void Release(const Operation& operation, const std::vector<IdentityKey>& keys);

  ShardStore& shards_;
  const Clock& clock_;
  Timer& timer_;
  MoveWaiter& moves_;
};

// OVERLOADED: other writers were faster too often.
std::unexpected<Error> FailContended();

}  // namespace muster
