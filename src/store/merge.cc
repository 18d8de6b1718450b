#include "store/merge.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "domain/member_rules.h"
#include "store/binding.h"
#include "store/binding_claim.h"
#include "store/in_database.h"
#include "store/move_steps.h"

namespace muster {
namespace {

// The member, or MEMBER_NOT_FOUND that says which of the two is missing.
Result<Member> Read(ShardTransaction& rows, const MergeRequest& request, MemberId id) {
  MUSTER_ASSIGN(std::optional<Member> member, rows.ReadMember(id));
  if (member) return *std::move(member);
  return Fail(Reason::kMemberNotFound, id == request.source ? "there is no member with the id of the source"
                                                            : "there is no member with this id");
}

Result<std::optional<MergeRecord>> ReadRecord(ShardTransaction& rows, const MergeRequest& request) {
  if (request.is_merge()) return std::optional<MergeRecord>();
  return rows.records().ReadMerge(request.survivor, request.source);
}

}  // namespace

Result<void> MergeProtocol::CheckDeadline(const WriteContext& context) const {
  if (!context.deadline.Passed(to_.clock)) return {};
  return Fail(Reason::kDeadlineExceeded, "the deadline passed before the commit; nothing was written");
}

// The giver with the mark of what is asked for; empty when nothing is to change.
Result<std::optional<Member>> MergeProtocol::Plan(const Operation& operation, const MergeRequest& request,
                                                  const Member& giver, const Member& taker,
                                                  const std::optional<MergeRecord>& record,
                                                  const WriteContext& context) const {
  const Member& survivor = request.is_merge() ? taker : giver;
  MUSTER_TRY(CheckVersion(survivor, context.expected_version));
  std::vector<IdentityKey> keys;
  if (request.is_merge()) {
    MUSTER_ASSIGN(const bool is_to_do, CheckMerge(giver, taker));
    if (!is_to_do) return std::optional<Member>();
    for (const Identity& identity : giver.identities) keys.push_back(identity.key);
  } else {
    MUSTER_TRY(CheckUnmerge(taker, giver));
    if (record) keys = StillHeld(giver, *record);  // none: it was imported as merged, and brought nothing here
  }
  Member planned = giver;
  planned.move = MoveMark{.role = MoveMark::Role::kGives,
                          .kind = request.kind,
                          .operation_id = operation.id,
                          .other = taker.id,
                          .keys = std::move(keys),
                          .time = to_.shards.Now(to_.shards.DatabaseOf(giver.id)),
                          .caller = context.caller,
                          .request_id = context.request_id};
  return std::optional(std::move(planned));
}

Task<Result<MergeProtocol::Answer>> MergeProtocol::Run(MergeRequest request, const WriteContext& context) {
  if (request.survivor == request.source) {
    co_return FailField("sourceId", "is the member itself: name the other one");
  }
  const std::uint32_t home = to_.shards.DatabaseOf(request.taker());
  const bool beside = home == to_.shards.DatabaseOf(request.giver());
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    MUSTER_CO_TRY(CheckDeadline(context));
    const Operation operation{to_.ids.NextOperationId(), request.taker(), to_.shards.Now(home)};
    Result<Step> step = Step{.is_elsewhere = true};
    if (beside) step = co_await Within(operation, request, context);
    if (step && step->is_elsewhere) step = co_await Across(operation, request, context);
    if (!step) co_return Fail(std::move(step).error());
    if (step->answer) co_return *std::move(step->answer);
    if (step->marked) {
      Result<void> settled = co_await moves_.WaitFor(*std::move(step->marked), operation.id, context);
      MUSTER_CO_TRY(std::move(settled));
    }
  }
  co_return FailContended();
}

// ---- in one transaction

// Nobody can see the operation between its steps: it needs no mark.
Task<Result<MergeProtocol::Step>> MergeProtocol::Within(const Operation& operation, const MergeRequest& request,
                                                        const WriteContext& context) {
  const std::uint32_t home = to_.shards.DatabaseOf(request.taker());
  Step step;
  ShardStore::Transaction transaction = [&](ShardTransaction& rows) -> Result<void> {
    step = {};
    MUSTER_TRY(CheckDeadline(context));
    if (!request.dry_run) {
      MUSTER_ASSIGN(std::optional<Member> answer, FindAnswer(rows, context, AnswerUse::kKeep));
      if (answer) step.answer = Answer{*std::move(answer), true};
      if (step.answer) return {};
    }
    MUSTER_ASSIGN(const Member giver, Read(rows, request, request.giver()));
    MUSTER_ASSIGN(const Member taker, Read(rows, request, request.taker()));
    if (giver.move || taker.move) {
      step.marked = giver.move ? giver : taker;
      return {};
    }
    MUSTER_ASSIGN(const std::optional<MergeRecord> record, ReadRecord(rows, request));
    MUSTER_ASSIGN(const std::optional<Member> planned, Plan(operation, request, giver, taker, record, context));
    Member after = taker;
    if (planned) {
      MUSTER_ASSIGN(after, AfterTaking(taker, *planned, to_.catalog, to_.shards.Now(home)));
      step.is_elsewhere = !request.dry_run && std::ranges::any_of(planned->move->keys, [&](const IdentityKey& key) {
        return to_.shards.DatabaseOf(key) != home;
      });
      if (step.is_elsewhere) return {};
    }
    if (!request.dry_run) {
      if (planned) MUSTER_TRY(WriteWithin(rows, *planned, after, context));
      MUSTER_TRY(KeepAnswer(rows, context, after));
    }
    step.answer = Answer{std::move(after)};
    return {};
  };
  Result<void> result = co_await InDatabase(to_.shards, home, std::move(transaction));
  MUSTER_CO_TRY(std::move(result));
  co_return step;
}

// `after` is the taker. The giver holds these identities, so their lookup rows are its own, and become the taker's.
Result<void> MergeProtocol::WriteWithin(ShardTransaction& rows, const Member& giver, const Member& after,
                                        const WriteContext& context) const {
  const MoveMark& mark = *giver.move;
  const std::vector<Identity> given = GivenBy(giver);
  const Member given_up = AfterGiving(giver);
  MUSTER_TRY(rows.WriteMember(given_up, ChangeOfMove(given_up, after.id, mark.kind, given, context, mark.time)));
  MUSTER_TRY(rows.WriteMember(after, ChangeOfMove(after, giver.id, mark.kind, given, context, after.update_time)));
  for (const IdentityKey& key : mark.keys) MUSTER_TRY(rows.WriteLookup(key, LookupRow{after.id, mark.operation_id}));
  if (mark.kind == MoveMark::Kind::kUnmerge) return rows.records().WriteMerge(giver.id, after.id, std::nullopt);
  return rows.records().WriteMerge(after.id, giver.id, RecordOf(giver));
}

// ---- in several

// What refuses may be what the same request has done meanwhile, sent to another process.
Task<Result<MergeProtocol::Step>> MergeProtocol::Across(const Operation& operation, const MergeRequest& request,
                                                        const WriteContext& context) {
  Result<Step> step = co_await LookAndTake(operation, request, context);
  if (step || request.dry_run || !context.idempotency || !IsRefusal(step.error())) co_return step;
  Step meanwhile;
  ShardStore::Transaction look = [&](ShardTransaction& rows) -> Result<void> {
    meanwhile = {};
    MUSTER_ASSIGN(std::optional<Member> answer, FindAnswer(rows, context, AnswerUse::kLook));
    if (answer) meanwhile.answer = Answer{*std::move(answer), true};
    return {};
  };
  MUSTER_CO_TRY(CheckDeadline(context));
  Result<void> result = co_await InDatabase(to_.shards, to_.shards.DatabaseOf(request.taker()), std::move(look));
  MUSTER_CO_TRY(ClaimProtocol::NothingWritten(std::move(result)));
  if (meanwhile.answer) co_return meanwhile;
  co_return step;
}

Task<Result<MergeProtocol::Step>> MergeProtocol::LookAndTake(const Operation& operation, const MergeRequest& request,
                                                             const WriteContext& context) {
  const OperationsUnderWay::Entry under_way(to_.shards.under_way(), operation.id);
  std::optional<Member> taker;
  Result<Step> step = co_await Look(operation, request, context, taker);
  if (!step || step->answer || step->marked) co_return step;
  std::optional<Member> giver;
  step = co_await MarkGiver(operation, request, *taker, context, giver);
  if (!step || !giver) co_return step;
  co_return co_await Commit(operation, request, *giver, context);
}

// Whether there is anything to do, and what would refuse it: so that what is hopeless leaves no mark.
Task<Result<MergeProtocol::Step>> MergeProtocol::Look(const Operation& operation, const MergeRequest& request,
                                                      const WriteContext& context, std::optional<Member>& taker) {
  std::optional<Member> giver;
  std::optional<MergeRecord> record;
  Step step;
  ShardStore::Transaction read_giver = [&](ShardTransaction& rows) -> Result<void> {
    MUSTER_ASSIGN(giver, rows.ReadMember(request.giver()));
    MUSTER_ASSIGN(record, ReadRecord(rows, request));
    return {};
  };
  Result<void> result = co_await InDatabase(to_.shards, to_.shards.DatabaseOf(request.giver()), std::move(read_giver));
  MUSTER_CO_TRY(ClaimProtocol::NothingWritten(std::move(result)));
  // Second, so that of a source that has been merged the survivor is seen with what it brought.
  ShardStore::Transaction read_taker = [&](ShardTransaction& rows) -> Result<void> {
    step = {};
    if (!request.dry_run) {
      MUSTER_ASSIGN(std::optional<Member> answer, FindAnswer(rows, context, AnswerUse::kKeep));
      if (answer) step.answer = Answer{*std::move(answer), true};
    }
    MUSTER_ASSIGN(taker, rows.ReadMember(request.taker()));
    return {};
  };
  result = co_await InDatabase(to_.shards, to_.shards.DatabaseOf(request.taker()), std::move(read_taker));
  MUSTER_CO_TRY(ClaimProtocol::NothingWritten(std::move(result)));
  if (step.answer) co_return step;
  if (!giver || !taker) {
    const bool lacks_source = request.is_merge() ? !giver : !taker;
    co_return Fail(Reason::kMemberNotFound,
                   lacks_source ? "there is no member with the id of the source" : "there is no member with this id");
  }
  if (giver->move || taker->move) co_return Step{.marked = giver->move ? giver : taker};
  MUSTER_CO_ASSIGN(const std::optional<Member> planned, Plan(operation, request, *giver, *taker, record, context));
  if (!planned) {
    if (request.dry_run) co_return Step{.answer = Answer{*taker}};
    co_return co_await Unchanged(request, context);
  }
  const Timestamp now = to_.shards.Now(to_.shards.DatabaseOf(request.taker()));
  MUSTER_CO_ASSIGN(Member after, AfterTaking(*taker, *planned, to_.catalog, now));
  if (request.dry_run) step.answer = Answer{std::move(after)};
  co_return step;
}

Task<Result<MergeProtocol::Step>> MergeProtocol::Unchanged(const MergeRequest& request, const WriteContext& context) {
  Step step;
  ShardStore::Transaction keep = [&](ShardTransaction& rows) -> Result<void> {
    step = {};
    MUSTER_ASSIGN(std::optional<Member> answer, FindAnswer(rows, context, AnswerUse::kKeep));
    const bool is_replay = answer.has_value();
    if (!is_replay) {
      MUSTER_ASSIGN(answer, Read(rows, request, request.taker()));
      MUSTER_TRY(KeepAnswer(rows, context, *answer));
    }
    step.answer = Answer{*std::move(answer), is_replay};
    return {};
  };
  Result<void> result = co_await InDatabase(to_.shards, to_.shards.DatabaseOf(request.taker()), std::move(keep));
  MUSTER_CO_TRY(std::move(result));
  co_return step;
}

// From here on the giver reads as before and takes no write, until the move is settled.
Task<Result<MergeProtocol::Step>> MergeProtocol::MarkGiver(const Operation& operation, const MergeRequest& request,
                                                           const Member& taker, const WriteContext& context,
                                                           std::optional<Member>& giver) {
  Step step;
  ShardStore::Transaction mark = [&](ShardTransaction& rows) -> Result<void> {
    step = {};
    giver.reset();
    MUSTER_TRY(CheckDeadline(context));
    MUSTER_ASSIGN(const Member standing, Read(rows, request, request.giver()));
    if (standing.move) {
      step.marked = standing;
      return {};
    }
    MUSTER_ASSIGN(const std::optional<MergeRecord> record, ReadRecord(rows, request));
    MUSTER_ASSIGN(giver, Plan(operation, request, standing, taker, record, context));
    return giver ? rows.MarkMember(*giver) : Result<void>();
  };
  Result<void> result = co_await InDatabase(to_.shards, to_.shards.DatabaseOf(request.giver()), std::move(mark));
  if (!result && giver && result.error().reason == Reason::kOutcomeUnknown) co_await Abandon(*giver);
  MUSTER_CO_TRY(ClaimProtocol::NothingWritten(std::move(result)));
  co_return step;
}

// In the taker's database, in the transaction that commits.
Result<MergeProtocol::Step> MergeProtocol::TakeIn(ShardTransaction& rows, const Operation& operation,
                                                  const MergeRequest& request, const Member& giver,
                                                  const WriteContext& context) const {
  MUSTER_TRY(CheckDeadline(context));
  MUSTER_ASSIGN(std::optional<Member> answer, FindAnswer(rows, context, AnswerUse::kKeep));
  if (answer) return Step{.answer = Answer{*std::move(answer), true}};
  MUSTER_ASSIGN(const bool may_commit, MayCommit(rows, to_.shards, operation));
  if (!may_commit) return Step{};
  MUSTER_ASSIGN(const Member taker, Read(rows, request, request.taker()));
  if (taker.move) return Step{.marked = taker};
  if (request.is_merge()) {
    MUSTER_TRY(CheckVersion(taker, context.expected_version));
    MUSTER_TRY(CheckMerge(giver, taker));
  } else {
    MUSTER_TRY(CheckUnmerge(taker, giver));
  }
  const Timestamp now = to_.shards.Now(to_.shards.DatabaseOf(request.taker()));
  MUSTER_ASSIGN(Member after, AfterTaking(taker, giver, to_.catalog, now));
  MUSTER_TRY(Take(rows, after, giver, context));
  MUSTER_TRY(KeepAnswer(rows, context, after));
  return Step{.answer = Answer{std::move(after)}};
}

Task<Result<MergeProtocol::Step>> MergeProtocol::Commit(const Operation& operation, const MergeRequest& request,
                                                        const Member& giver, const WriteContext& context) {
  const std::uint32_t home = to_.shards.DatabaseOf(request.taker());
  for (int tries = 0; tries < kReservationTriesMax; ++tries) {
    Step step;
    ShardStore::Transaction take = [&](ShardTransaction& rows) -> Result<void> {
      step = {};
      MUSTER_ASSIGN(step, TakeIn(rows, operation, request, giver, context));
      return {};
    };
    Result<void> result = co_await InDatabase(to_.shards, home, std::move(take));
    if (!result && result.error().reason == Reason::kOutcomeUnknown) {
      co_return co_await Conclude(giver, std::move(step.answer), std::move(result).error());
    }
    if (result && step.answer && !step.answer->is_replay) {
      // It is committed: what fails now is left to whoever meets it.
      (void)co_await moves_.settler().Finish(giver);
      co_return step;
    }
    if (result && step.marked) {
      result = co_await moves_.WaitFor(*step.marked, operation.id, context);
      if (result) continue;
    }
    co_await Abandon(giver);
    if (!result) co_return Fail(std::move(result).error());
    co_return step;  // answered before, or aborted by another writer
  }
  co_await Abandon(giver);
  co_return FailContended();
}

// Nobody knows whether it was committed: finds out, or makes sure that it never will be.
Task<Result<MergeProtocol::Step>> MergeProtocol::Conclude(Member giver, std::optional<Answer> answer, Error unknown) {
  const Result<MoveEnd> end = co_await moves_.settler().Settle(std::move(giver), true);
  if (end && *end == MoveEnd::kFinished && answer) co_return Step{.answer = std::move(answer)};
  if (end && *end == MoveEnd::kCleared) {
    co_return Fail(Reason::kWritesUnavailable, "the store lost the answer to the commit, which was undone; try again");
  }
  co_return Fail(std::move(unknown));
}

// The operation will not be committed: the giver need not wait for anybody to find that out.
Task<bool> MergeProtocol::Abandon(const Member& giver) {
  ShardStore::Transaction unmark = [&](ShardTransaction& rows) -> Result<void> {
    MUSTER_TRY(Unmark(rows, giver.id, giver.move->operation_id));
    return {};
  };
  const Result<void> result = co_await InDatabase(to_.shards, to_.shards.DatabaseOf(giver.id), std::move(unmark));
  co_return result.has_value();
}

}  // namespace muster
