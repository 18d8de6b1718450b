#pragma once

#include <optional>

#include "base/task.h"
#include "domain/id_allocator.h"
#include "domain/identity_catalog.h"
#include "domain/merge_rules.h"
#include "domain/ports/shard_store.h"
#include "domain/ports/write_context.h"
#include "store/binding_steps.h"
#include "store/move_settler.h"

namespace muster {

struct MergeRequest {
  MoveMark::Kind kind = MoveMark::Kind::kMerge;
  MemberId survivor;
  MemberId source;
  bool dry_run = false;

  bool is_merge() const { return kind == MoveMark::Kind::kMerge; }
  MemberId giver() const { return is_merge() ? source : survivor; }
  MemberId taker() const { return is_merge() ? survivor : source; }
};

// The composition of the steps in move_steps.h. Thread-safe.
//
//   both members and all identities in one database?
//       yes │                  │ no
//           ▼                  ▼
//   one transaction      look (rules, dry run) → mark the giver → Take (the commit) → finish, then answer
//
// A mark of another move on either member is waited for, and in the end aborted, by whoever meets it (MoveWaiter). Of
// moves that wait for each other the oldest waits least long, so it is aborted by nobody, and the others give way.
class MergeProtocol {
 public:
  struct Dependencies {
    ShardStore& shards;
    const IdentityCatalog& catalog;
    IdAllocator& ids;
    const Clock& clock;
  };
  struct Answer {
    Member member;  // the taker
    bool is_replay = false;
  };

  MergeProtocol(const Dependencies& dependencies, MoveWaiter& moves) : to_(dependencies), moves_(moves) {}

  // Errors are those of MemberMerger. Except after OUTCOME_UNKNOWN, nothing is left but what was committed, or a mark
  // that the next writer, or the sweeper, takes away.
  Task<Result<Answer>> Run(MergeRequest request, const WriteContext& context);

 private:
  // How an attempt ended: one of them, or in none of these ways (then it is to be made again).
  struct Step {
    std::optional<Answer> answer = {};
    std::optional<Member> marked = {};  // a member in whose way another move is
    bool is_elsewhere = false;          // one transaction does not do
  };

  Task<Result<Step>> Within(const Operation& operation, const MergeRequest& request, const WriteContext& context);
  Task<Result<Step>> Across(const Operation& operation, const MergeRequest& request, const WriteContext& context);
  Task<Result<Step>> LookAndTake(const Operation& operation, const MergeRequest& request, const WriteContext& context);
  Task<Result<Step>> Look(const Operation& operation, const MergeRequest& request, const WriteContext& context,
                          std::optional<Member>& taker);
  Task<Result<Step>> Unchanged(const MergeRequest& request, const WriteContext& context);
  Task<Result<Step>> MarkGiver(const Operation& operation, const MergeRequest& request, const Member& taker,
                               const WriteContext& context, std::optional<Member>& giver);
  Task<Result<Step>> Commit(const Operation& operation, const MergeRequest& request, const Member& giver,
                            const WriteContext& context);
  Task<Result<Step>> Conclude(Member giver, std::optional<Answer> answer, Error unknown);
  Task<bool> Abandon(const Member& giver);

  Result<std::optional<Member>> Plan(const Operation& operation, const MergeRequest& request, const Member& giver,
                                     const Member& taker, const std::optional<MergeRecord>& record,
                                     const WriteContext& context) const;
  Result<Step> TakeIn(ShardTransaction& rows, const Operation& operation, const MergeRequest& request,
                      const Member& giver, const WriteContext& context) const;
  Result<void> WriteWithin(ShardTransaction& rows, const Member& giver, const Member& after,
                           const WriteContext& context) const;
  Result<void> CheckDeadline(const WriteContext& context) const;

  const Dependencies to_;
  MoveWaiter& moves_;
};

}  // namespace muster
