#pragma once

#include <cstdint>
#include <vector>

#include "domain/ports/member_writer.h"
#include "domain/ports/shard_store.h"
#include "store/binding_steps.h"

namespace muster {

// The steps of a move (a merge or an unmerge; domain/merge_rules.h) between members, each a plain function inside one
// transaction; merge.cc composes them, and move_settler.cc those that end what was begun.
//
//   giver's row                        taker's row, operation row          lookup rows of what is given
//
//   plain                              plain                               (giver, its operation)
//     │ MarkMember                       │                                   │
//     ▼                                  │                                   │
//   GIVES(op, taker) ── no writes ──┐    │                                   │
//     │            │                │    ▼ Take: the commit point            │
//     │ Unmark     │ Finish         │  TAKES(op, giver), lists them as op    │
//     ▼            │                │    │ ── no other move ──               ▼ PassOn
//   plain, as      │ ◄──────────────┼────┼───────────────────────────────  (taker, op)
//   it was         ▼                │    │
//                plain, without     └─►  ▼ Unmark
//                                      plain
//
// The giver lists what it gives until every lookup row leads to the taker: nobody can take for dangling a row whose
// identity is held. JudgeMove says which of the two ways a giver goes; when it says ABORTED, Take never will.

enum class MoveVerdict : std::uint8_t { kUndecided, kCommitted, kAborted };

// In the taker's database, in the transaction that commits: writes the taker, `change` of it included.
Result<void> Take(ShardTransaction& transaction, const Member& taker, const Member& giver, const WriteContext& context);

// In the taker's database: what has become of the operation. With `may_abort` what is undecided is aborted.
Result<MoveVerdict> JudgeMove(ShardTransaction& transaction, MemberId taker, OperationId operation, bool may_abort);

// In an identity's database: from the giver's lookup row to the taker's, by compare-and-swap.
Result<void> PassOn(ShardTransaction& transaction, const Member& giver, const Identity& identity);

// In the giver's database, once all rows are passed on. Nothing happens when the mark is not of that operation any
// more.
Result<void> Finish(ShardTransaction& transaction, MemberId giver, OperationId operation);

// In the member's database: takes a mark away. False: it is not of that operation.
Result<bool> Unmark(ShardTransaction& transaction, MemberId id, OperationId operation);

// Of either end, at its new version: what it gave to `other` or took from it.
Change ChangeOfMove(const Member& after, MemberId other, MoveMark::Kind kind, const std::vector<Identity>& moved,
                    const WriteContext& context, Timestamp now);

}  // namespace muster
