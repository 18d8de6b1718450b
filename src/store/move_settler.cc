#include "store/move_settler.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "domain/merge_rules.h"
#include "store/binding.h"
#include "store/binding_claim.h"
#include "store/in_database.h"
#include "store/move_steps.h"

namespace muster {
namespace {

bool Gives(const std::optional<Member>& member, OperationId operation) {
  return member && member->move && member->move->role == MoveMark::Role::kGives &&
         member->move->operation_id == operation;
}

}  // namespace

Task<Result<MoveEnd>> MoveSettler::Settle(Member marked, bool may_abort) {
  if (!marked.move) co_return MoveEnd::kGone;
  if (marked.move->role == MoveMark::Role::kTakes) co_return co_await SettleTaker(std::move(marked));
  const MemberId taker = marked.move->other;
  const OperationId operation = marked.move->operation_id;
  MoveVerdict verdict = MoveVerdict::kUndecided;
  ShardStore::Transaction judge = [&](ShardTransaction& rows) -> Result<void> {
    MUSTER_ASSIGN(verdict, JudgeMove(rows, taker, operation, may_abort));
    return {};
  };
  Result<void> result = co_await InDatabase(shards_, shards_.DatabaseOf(taker), std::move(judge));
  MUSTER_CO_TRY(std::move(result));
  if (verdict == MoveVerdict::kCommitted) co_return co_await Finish(std::move(marked));
  if (verdict == MoveVerdict::kAborted) {
    MUSTER_CO_ASSIGN(const bool unmarked, co_await Unmark(marked.id, operation));
    co_return unmarked ? MoveEnd::kCleared : MoveEnd::kGone;
  }
  // The taker's mark goes after the giver's: a giver that bears its own still had not given when the taker was read.
  MUSTER_CO_ASSIGN(const std::optional<Member> again, co_await Read(marked.id));
  co_return Gives(again, operation) ? MoveEnd::kUndecided : MoveEnd::kGone;
}

Task<Result<MoveEnd>> MoveSettler::SettleTaker(Member taker) {
  MUSTER_CO_ASSIGN(std::optional<Member> giver, co_await Read(taker.move->other));
  if (Gives(giver, taker.move->operation_id)) co_return co_await Finish(*std::move(giver));
  MUSTER_CO_ASSIGN(const bool unmarked, co_await Unmark(taker.id, taker.move->operation_id));
  co_return unmarked ? MoveEnd::kFinished : MoveEnd::kGone;
}

Task<Result<MoveEnd>> MoveSettler::Finish(Member giver) {
  const OperationId operation = giver.move->operation_id;
  const MemberId taker = giver.move->other;
  const std::uint32_t home = shards_.DatabaseOf(giver.id);
  std::map<std::uint32_t, std::vector<Identity>> by_database;
  for (Identity& identity : GivenBy(giver)) by_database[shards_.DatabaseOf(identity.key)].push_back(identity);
  by_database.try_emplace(home);
  for (const auto& [database, identities] : by_database) {
    if (database == home) continue;
    ShardStore::Transaction pass_on = [&](ShardTransaction& rows) -> Result<void> {
      for (const Identity& identity : identities) MUSTER_TRY(PassOn(rows, giver, identity));
      return {};
    };
    Result<void> result = co_await InDatabase(shards_, database, std::move(pass_on));
    MUSTER_CO_TRY(std::move(result));
  }
  const std::vector<Identity>& beside = by_database[home];
  ShardStore::Transaction finish = [&](ShardTransaction& rows) -> Result<void> {
    for (const Identity& identity : beside) MUSTER_TRY(PassOn(rows, giver, identity));
    return muster::Finish(rows, giver.id, operation);
  };
  Result<void> result = co_await InDatabase(shards_, home, std::move(finish));
  MUSTER_CO_TRY(std::move(result));
  MUSTER_CO_TRY(co_await Unmark(taker, operation));
  co_return MoveEnd::kFinished;
}

Task<Result<std::optional<Member>>> MoveSettler::Read(MemberId id) {
  std::optional<Member> member;
  ShardStore::Transaction read = [&](ShardTransaction& rows) -> Result<void> {
    MUSTER_ASSIGN(member, rows.ReadMember(id));
    return {};
  };
  Result<void> result = co_await InDatabase(shards_, shards_.DatabaseOf(id), std::move(read));
  MUSTER_CO_TRY(std::move(result));
  co_return member;
}

Task<Result<bool>> MoveSettler::Unmark(MemberId id, OperationId operation) {
  bool unmarked = false;
  ShardStore::Transaction unmark = [&](ShardTransaction& rows) -> Result<void> {
    MUSTER_ASSIGN(unmarked, muster::Unmark(rows, id, operation));
    return {};
  };
  Result<void> result = co_await InDatabase(shards_, shards_.DatabaseOf(id), std::move(unmark));
  MUSTER_CO_TRY(std::move(result));
  co_return unmarked;
}

Task<Result<void>> MoveWaiter::WaitFor(Member marked, OperationId own, const WriteContext& context) {
  const OperationId other = marked.move->operation_id;
  const Duration patience = other < own ? kPatienceWithOlder : kPatienceWithYounger;
  const Instant began = clock_.Monotonic();
  for (int look = 0;; ++look) {
    const Instant now = clock_.Monotonic();
    if (context.deadline.Passed(clock_)) {
      co_return Fail(Reason::kDeadlineExceeded, "the deadline passed before the commit; nothing was written");
    }
    const bool may_abort = HasEnded(other) || now - began >= patience;
    Result<MoveEnd> end = co_await settler_.Settle(marked, may_abort);
    if (!end) {
      Result<void> failure = Fail(std::move(end).error());
      co_return ClaimProtocol::NothingWritten(std::move(failure));
    }
    if (*end != MoveEnd::kUndecided) co_return Result<void>();
    const Duration left = std::max(Duration(0), context.deadline.at() - now);
    const Duration pause = PauseBeforeLook(look, left);
    co_await Callback<bool>(
        [&](auto done) { timer_.After(pause, [done = std::move(done)]() mutable { done(true); }); });
  }
}

bool MoveWaiter::HasEnded(OperationId operation) const {
  const OperationsUnderWay* under_way = shards_.under_way();
  return under_way != nullptr && !under_way->Contains(operation);
}

Task<Result<bool>> MoveWaiter::TryNow(Member marked) {
  const bool may_abort = HasEnded(marked.move->operation_id);
  MUSTER_CO_ASSIGN(const MoveEnd end, co_await settler_.Settle(std::move(marked), may_abort));
  co_return end != MoveEnd::kUndecided;
}

}  // namespace muster
