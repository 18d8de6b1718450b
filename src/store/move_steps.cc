#include "store/move_steps.h"

#include <optional>
#include <utility>

#include "domain/merge_rules.h"

namespace muster {
namespace {

bool Bears(const std::optional<Member>& member, MoveMark::Role role, OperationId operation) {
  return member && member->move && member->move->role == role && member->move->operation_id == operation;
}

}  // namespace

Result<void> Take(ShardTransaction& transaction, const Member& taker, const Member& giver,
                  const WriteContext& context) {
  const MoveMark& mark = *giver.move;
  Member marked = taker;
  marked.move = MoveMark{.role = MoveMark::Role::kTakes,
                         .kind = mark.kind,
                         .operation_id = mark.operation_id,
                         .other = giver.id,
                         .other_version = AfterGiving(giver).version};
  MUSTER_TRY(transaction.WriteMember(
      marked, ChangeOfMove(marked, giver.id, mark.kind, GivenBy(giver), context, marked.update_time)));
  if (mark.kind == MoveMark::Kind::kUnmerge) return {};
  return transaction.records().WriteMerge(taker.id, giver.id, RecordOf(giver));
}

Result<MoveVerdict> JudgeMove(ShardTransaction& transaction, MemberId taker, OperationId operation, bool may_abort) {
  MUSTER_ASSIGN(const std::optional<Member> standing, transaction.ReadMember(taker));
  if (Bears(standing, MoveMark::Role::kTakes, operation)) return MoveVerdict::kCommitted;
  MUSTER_ASSIGN(const std::optional<OperationOutcome> outcome, transaction.records().ReadOperation(operation));
  if (outcome) return MoveVerdict::kAborted;
  if (!may_abort) return MoveVerdict::kUndecided;
  MUSTER_TRY(transaction.records().WriteOperation(operation, OperationOutcome::kAborted));
  return MoveVerdict::kAborted;
}

Result<void> PassOn(ShardTransaction& transaction, const Member& giver, const Identity& identity) {
  const LookupRow next{giver.move->other, giver.move->operation_id};
  MUSTER_TRY(Replace(transaction, identity.key, {giver.id, identity.bound_by}, next));
  return {};
}

Result<void> Finish(ShardTransaction& transaction, MemberId giver, OperationId operation) {
  MUSTER_ASSIGN(const std::optional<Member> standing, transaction.ReadMember(giver));
  if (!Bears(standing, MoveMark::Role::kGives, operation)) return {};
  const MoveMark& mark = *standing->move;
  const WriteContext context{.caller = mark.caller, .request_id = mark.request_id};
  const Member after = AfterGiving(*standing);
  MUSTER_TRY(transaction.WriteMember(
      after, ChangeOfMove(after, mark.other, mark.kind, GivenBy(*standing), context, mark.time)));
  if (mark.kind == MoveMark::Kind::kMerge) return {};
  return transaction.records().WriteMerge(giver, mark.other, std::nullopt);
}

Result<bool> Unmark(ShardTransaction& transaction, MemberId id, OperationId operation) {
  MUSTER_ASSIGN(std::optional<Member> member, transaction.ReadMember(id));
  if (!member || !member->move || member->move->operation_id != operation) return false;
  member->move.reset();
  MUSTER_TRY(transaction.MarkMember(*member));
  return true;
}

Change ChangeOfMove(const Member& after, MemberId other, MoveMark::Kind kind, const std::vector<Identity>& moved,
                    const WriteContext& context, Timestamp now) {
  const bool is_merge = kind == MoveMark::Kind::kMerge;
  Change change = CreationOf(after, is_merge ? ChangeType::kMerged : ChangeType::kUnmerged, context, now);
  change.other_member_id = other;
  change.identities.clear();
  for (const Identity& identity : moved) change.identities.push_back({identity.kind, identity.platform, identity.key});
  return change;
}

}  // namespace muster
