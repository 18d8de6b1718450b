#include "store/binding_claim.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/check.h"
#include "store/binding.h"
#include "store/in_database.h"

namespace muster {
namespace {

// Rolls a transaction back whose verdict is said beside it; nobody sees the error.
std::unexpected<Error> RollBack() { return Fail(Reason::kStateConflict, "the transaction was rolled back"); }

// A transaction whose writes go nowhere.
class Rehearsal final : public ShardTransaction, public WriteRecords {
 public:
  explicit Rehearsal(ShardTransaction& rows) : rows_(rows) {}

  Result<std::optional<Member>> ReadMember(MemberId id) override { return rows_.ReadMember(id); }
  Result<void> WriteMember(const Member& /*member*/, const Change& /*change*/) override { return {}; }
  Result<void> MarkMember(const Member& /*member*/) override { return {}; }
  Result<std::optional<LookupRow>> ReadLookup(const IdentityKey& key) override { return rows_.ReadLookup(key); }
  Result<void> WriteLookup(const IdentityKey& /*key*/, const std::optional<LookupRow>& /*row*/) override { return {}; }
  WriteRecords& records() override { return *this; }
  Result<std::optional<OperationOutcome>> ReadOperation(OperationId id) override {
    return rows_.records().ReadOperation(id);
  }
  Result<void> WriteOperation(OperationId /*id*/, OperationOutcome /*outcome*/) override { return {}; }
  Result<std::optional<KeptAnswer>> ReadAnswer(const RequestHash& key, AnswerUse /*use*/) override {
    return rows_.records().ReadAnswer(key, AnswerUse::kLook);
  }
  Result<void> WriteAnswer(const RequestHash& /*key*/, const KeptAnswer& /*answer*/) override { return {}; }
  Result<std::optional<MergeRecord>> ReadMerge(MemberId target, MemberId source) override {
    return rows_.records().ReadMerge(target, source);
  }
  Result<void> WriteMerge(MemberId /*target*/, MemberId /*source*/,
                          const std::optional<MergeRecord>& /*merge*/) override {
    return {};
  }

 private:
  ShardTransaction& rows_;
};

// The row that belongs to what `member` lists under `key`; empty when it does not list it.
std::optional<LookupRow> RowOf(const Member& member, const IdentityKey& key) {
  const Identity* identity = FindIdentity(member, key);
  if (identity == nullptr) return std::nullopt;
  return LookupRow{member.id, identity->bound_by};
}

// Whether the member is about to give the identity to another, or may have done so.
bool MayHaveGiven(const Member& holder, const IdentityKey& key) {
  return holder.move && holder.move->role == MoveMark::Role::kGives &&
         std::ranges::find(holder.move->keys, key) != holder.move->keys.end();
}

}  // namespace

std::unexpected<Error> FailContended() {
  return Fail(Reason::kOverloaded,
              "other writers keep hold of the same identities; nothing was written, try again soon");
}

Result<void> ClaimProtocol::NothingWritten(Result<void> result) {
  if (!result && result.error().reason == Reason::kOutcomeUnknown) {
    return Fail(Reason::kWritesUnavailable, "the store lost an answer before anything was written; try again");
  }
  return result;
}

Result<void> ClaimProtocol::CheckDeadline(const WriteContext& context) const {
  if (!context.deadline.Passed(clock_)) return {};
  return Fail(Reason::kDeadlineExceeded, "the deadline passed before the commit; nothing was written");
}

Task<Result<Claimed>> ClaimProtocol::Claim(const Operation& operation, const std::vector<IdentityKey>& keys,
                                           const CommitStep& commit, const WriteContext& context) {
  const std::uint32_t home = shards_.DatabaseOf(operation.member_id);
  const bool within =
      std::ranges::all_of(keys, [&](const IdentityKey& key) { return shards_.DatabaseOf(key) == home; });
  if (within) {
    Result<Claimed> claimed = co_await ClaimWithin(operation, keys, commit, context);
    if (!claimed || claimed->verdict != Claimed::Verdict::kElsewhere) co_return claimed;
  }
  co_return co_await ClaimAcross(operation, keys, commit, context);
}

// One transaction for everything. It needs no operation row: nobody can see the operation between its reservation and
// its commit, so nobody can ever have to abort it.
Task<Result<Claimed>> ClaimProtocol::ClaimWithin(const Operation& operation, const std::vector<IdentityKey>& keys,
                                                 const CommitStep& commit, const WriteContext& context) {
  const std::uint32_t home = shards_.DatabaseOf(operation.member_id);
  Claimed claimed;
  ShardStore::Transaction transaction = [&](ShardTransaction& rows) -> Result<void> {
    claimed = {};
    MUSTER_TRY(CheckDeadline(context));
    MUSTER_ASSIGN(std::optional<Member> answer, FindAnswer(rows, context, AnswerUse::kKeep));
    if (answer) {
      // Not rolled back: what is answered again is a success, of which a store may have to tell others.
      claimed = {Claimed::Verdict::kReplayed, std::move(answer), {}};
      return {};
    }
    std::vector<IdentityKey> free;
    for (const IdentityKey& key : keys) {
      MUSTER_ASSIGN(const std::optional<LookupRow> row, rows.ReadLookup(key));
      Standing standing;
      if (row) {
        MUSTER_ASSIGN(standing, Examine(rows, home, key, *row, nullptr));
      }
      if (standing.stranger || (standing.holder && MayHaveGiven(*standing.holder, key))) {
        claimed = {Claimed::Verdict::kElsewhere, std::nullopt, key};
        return RollBack();
      }
      if (!standing.holder) {
        free.push_back(key);
      } else if (standing.holder->id != operation.member_id) {
        claimed = {Claimed::Verdict::kTaken, std::move(standing.holder), key};
        return RollBack();
      }
    }
    MUSTER_ASSIGN(std::optional<Member> member, commit(rows, shards_.Now(home)));
    if (!member) {
      claimed.verdict = Claimed::Verdict::kAgain;
      return RollBack();
    }
    // The row says who bound it, which is an earlier operation when the member lists the identity already.
    for (const IdentityKey& key : free) {
      if (const std::optional<LookupRow> row = RowOf(*member, key)) {
        MUSTER_TRY(rows.WriteLookup(key, row));
      }
    }
    MUSTER_TRY(KeepAnswer(rows, context, *member));
    claimed = {Claimed::Verdict::kCommitted, std::move(member), {}};
    return {};
  };
  Result<void> result = co_await InDatabase(shards_, home, std::move(transaction));
  // A verdict counts only if the store says that the transaction ended with it: one that was reached beside other
  // transactions that could not be committed may rest on what they wrote.
  const bool is_final =
      claimed.verdict == Claimed::Verdict::kCommitted || claimed.verdict == Claimed::Verdict::kReplayed
          ? result.has_value()
          : claimed.verdict != Claimed::Verdict::kNone && !result && result.error() == RollBack().error();
  if (!is_final) co_return Fail(std::move(result).error());
  co_return claimed;
}

// What a lookup row in `database` stands for, when that can be said within this database.
Result<ClaimProtocol::Standing> ClaimProtocol::Examine(ShardTransaction& transaction, std::uint32_t database,
                                                       const IdentityKey& key, const LookupRow& row,
                                                       const Patience* patience) const {
  if (shards_.DatabaseOf(row.member_id) == database) return Judge(transaction, key, row, patience);
  Standing standing;
  standing.stranger = row;
  return standing;
}

// What a lookup row stands for, in its member's database. Dangling, neither holder nor rival, when the patience is at
// its end (or none is given) and nobody holds it.
Result<ClaimProtocol::Standing> ClaimProtocol::Judge(ShardTransaction& transaction, const IdentityKey& key,
                                                     const LookupRow& row, const Patience* patience) const {
  Standing standing;
  if (patience != nullptr && MayWait(row, *patience)) {
    MUSTER_ASSIGN(const bool undecided, IsUndecided(transaction, key, row));
    if (undecided) {
      standing.rival = row;
      return standing;
    }
  }
  MUSTER_ASSIGN(standing.holder, Settle(transaction, key, row));
  return standing;
}

bool ClaimProtocol::MayWait(const LookupRow& rival, const Patience& patience) const {
  const OperationsUnderWay* under_way = shards_.under_way();
  if (under_way != nullptr && !under_way->Contains(rival.operation_id)) return false;
  const bool is_older = rival.operation_id < patience.operation_id;
  const Duration longest = is_older ? kPatienceWithOlder : kPatienceWithYounger;
  return patience.rival != rival || clock_.Monotonic() - patience.since < longest;
}

// Pauses before the next look at a rival's reservation.
Task<bool> ClaimProtocol::Wait(const LookupRow& rival, Patience& patience, const WriteContext& context) {
  const Instant now = clock_.Monotonic();
  if (patience.rival != rival) patience = {patience.operation_id, rival, now, 0};
  const Duration left = std::max(Duration(0), context.deadline.at() - now);
  const Duration pause = PauseBeforeLook(patience.looks++, left);
  co_return co_await Callback<bool>(
      [&](auto done) { timer_.After(pause, [done = std::move(done)]() mutable { done(true); }); });
}

// Before, in the commit, and after a refusal: the same request may be under way in another process, and what refuses
// may be what that one has done.
Task<Result<Claimed>> ClaimProtocol::ClaimAcross(const Operation& operation, const std::vector<IdentityKey>& keys,
                                                 const CommitStep& commit, const WriteContext& context) {
  Result<Claimed> before = co_await FindAnswerAcross(operation, context, AnswerUse::kKeep);
  if (!before || before->verdict == Claimed::Verdict::kReplayed) co_return before;
  Result<Claimed> claimed = co_await ReserveAndCommit(operation, keys, commit, context);
  const bool is_refused = claimed ? claimed->verdict == Claimed::Verdict::kTaken : IsRefusal(claimed.error());
  if (!is_refused) co_return claimed;
  Result<Claimed> meanwhile = co_await FindAnswerAcross(operation, context, AnswerUse::kLook);
  if (!meanwhile || meanwhile->verdict == Claimed::Verdict::kReplayed) co_return meanwhile;
  co_return claimed;
}

Task<Result<Claimed>> ClaimProtocol::ReserveAndCommit(const Operation& operation, const std::vector<IdentityKey>& keys,
                                                      const CommitStep& commit, const WriteContext& context) {
  const OperationsUnderWay::Entry under_way(shards_.under_way(), operation.id);
  std::vector<IdentityKey> reserved;
  std::vector<IdentityKey> held;
  for (std::size_t index = 0; index < keys.size(); ++index) {
    Result<Claimed> reservation = co_await ReserveAcross(operation, std::span(keys).subspan(index), commit, context);
    if (!reservation) {
      reserved.push_back(keys[index]);  // perhaps
      Release(operation, reserved);
      co_return reservation;
    }
    if (reservation->verdict == Claimed::Verdict::kNone) {
      reserved.push_back(keys[index]);
    } else if (reservation->member->id == operation.member_id) {
      held.push_back(keys[index]);
    } else {
      Release(operation, reserved);
      co_return reservation;
    }
  }

  Result<Claimed> claimed = co_await CommitAcross(operation, held, commit, context);
  if (!claimed && claimed.error().reason == Reason::kOutcomeUnknown) {
    // It may have been committed: the reservations may be the member's own now. Whoever wants them settles them.
    co_return claimed;
  }
  if (!claimed || claimed->verdict != Claimed::Verdict::kCommitted) {
    Release(operation, reserved);
    co_return claimed;
  }
  // Where the member listed the identity before, its row was missing and now names this operation: it should name the
  // one that bound it. Where it does not list it, the row is free again.
  std::vector<Swap> swaps;
  for (const IdentityKey& key : reserved) {
    const std::optional<LookupRow> row = RowOf(*claimed->member, key);
    if (row != operation.Claim()) swaps.push_back({key, operation.Claim(), row});
  }
  SwapInBackground(swaps);
  co_return claimed;
}

// kReplayed when the request has been answered before, else kNone.
Task<Result<Claimed>> ClaimProtocol::FindAnswerAcross(const Operation& operation, const WriteContext& context,
                                                      AnswerUse use) {
  if (!context.idempotency) co_return Claimed{};
  MUSTER_CO_TRY(CheckDeadline(context));
  std::optional<Member> answer;
  ShardStore::Transaction look = [&](ShardTransaction& rows) -> Result<void> {
    MUSTER_ASSIGN(answer, FindAnswer(rows, context, use));
    return {};
  };
  Result<void> result = co_await InDatabase(shards_, shards_.DatabaseOf(operation.member_id), std::move(look));
  MUSTER_CO_TRY(NothingWritten(std::move(result)));
  if (!answer) co_return Claimed{};
  co_return Claimed{Claimed::Verdict::kReplayed, std::move(answer), {}};
}

// Takes the lookup row of the first of `keys` for the operation: kNone. Or kTaken: the member that holds it, if one
// does. Before it waits for a rival it looks once whether there is anything to wait for: at the other keys, which
// another member may hold, and at the member itself, which may not allow the commit.
Task<Result<Claimed>> ClaimProtocol::ReserveAcross(const Operation& operation, std::span<const IdentityKey> keys,
                                                   const CommitStep& commit, const WriteContext& context) {
  const IdentityKey key = keys.front();
  const std::uint32_t database = shards_.DatabaseOf(key);
  const Deadline age_limit = Deadline::After(clock_, kOperationAgeMax);
  std::optional<LookupRow> dangling;
  Patience patience{.operation_id = operation.id};
  bool has_looked_ahead = false;
  for (int tries = 0; tries < kReservationTriesMax && !age_limit.Passed(clock_);) {
    MUSTER_CO_TRY(CheckDeadline(context));
    Standing standing;
    ShardStore::Transaction reserve = [&](ShardTransaction& rows) -> Result<void> {
      standing = {};
      MUSTER_ASSIGN(const std::optional<LookupRow> row, Reserve(rows, key, operation.Claim()));
      if (!row) return {};
      if (row != dangling) {
        MUSTER_ASSIGN(standing, Examine(rows, database, key, *row, &patience));
        if (standing.holder || standing.stranger || standing.rival) return {};
      }
      MUSTER_ASSIGN(const bool swapped, Replace(rows, key, *row, operation.Claim()));
      MUSTER_CHECK(swapped);
      return {};
    };
    Result<void> result = co_await InDatabase(shards_, database, std::move(reserve));
    MUSTER_CO_TRY(NothingWritten(std::move(result)));
    if (standing.stranger) {
      MUSTER_CO_TRY(CheckDeadline(context));
      const LookupRow row = *standing.stranger;
      ShardStore::Transaction judge = [&](ShardTransaction& rows) -> Result<void> {
        MUSTER_ASSIGN(standing, Judge(rows, key, row, &patience));
        return {};
      };
      result = co_await InDatabase(shards_, shards_.DatabaseOf(row.member_id), std::move(judge));
      MUSTER_CO_TRY(NothingWritten(std::move(result)));
      if (!standing.holder && !standing.rival) {
        dangling = row;
        ++tries;
        continue;
      }
    }
    if (standing.holder && MayHaveGiven(*standing.holder, key)) {
      const Result<bool> is_settled = co_await moves_.TryNow(*standing.holder);
      if (!is_settled) {
        Result<void> failure = Fail(is_settled.error());
        co_return Fail(NothingWritten(std::move(failure)).error());
      }
      if (*is_settled) {
        ++tries;
        continue;
      }
    }
    if (standing.holder) co_return Claimed{Claimed::Verdict::kTaken, std::move(standing.holder), key};
    if (!standing.rival) co_return Claimed{};
    if (!std::exchange(has_looked_ahead, true)) {
      Result<Claimed> taken = co_await FindTaken(operation, keys.subspan(1), context);
      if (!taken || taken->verdict == Claimed::Verdict::kTaken) co_return taken;
      Result<void> rehearsed = co_await Rehearse(operation, commit, context);
      MUSTER_CO_TRY(std::move(rehearsed));
    }
    co_await Wait(*standing.rival, patience, context);
  }
  co_return FailContended();
}

// The errors of `commit` as things stand now. Nothing is written.
Task<Result<void>> ClaimProtocol::Rehearse(const Operation& operation, const CommitStep& commit,
                                           const WriteContext& context) {
  const std::uint32_t home = shards_.DatabaseOf(operation.member_id);
  MUSTER_CO_TRY(CheckDeadline(context));
  ShardStore::Transaction rehearsal = [&](ShardTransaction& rows) -> Result<void> {
    Rehearsal unwritten(rows);
    MUSTER_TRY(commit(unwritten, shards_.Now(home)));
    return {};
  };
  Result<void> result = co_await InDatabase(shards_, home, std::move(rehearsal));
  co_return NothingWritten(std::move(result));
}

// kTaken when another member holds one of `keys` now, else kNone.
Task<Result<Claimed>> ClaimProtocol::FindTaken(const Operation& operation, std::span<const IdentityKey> keys,
                                               const WriteContext& context) {
  for (const IdentityKey& key : keys) {
    MUSTER_CO_TRY(CheckDeadline(context));
    std::optional<LookupRow> row;
    ShardStore::Transaction look = [&](ShardTransaction& rows) -> Result<void> {
      MUSTER_ASSIGN(row, rows.ReadLookup(key));
      return {};
    };
    Result<void> result = co_await InDatabase(shards_, shards_.DatabaseOf(key), std::move(look));
    MUSTER_CO_TRY(NothingWritten(std::move(result)));
    if (!row || row->member_id == operation.member_id) continue;
    std::optional<Member> owner;
    ShardStore::Transaction read = [&](ShardTransaction& rows) -> Result<void> {
      MUSTER_ASSIGN(owner, rows.ReadMember(row->member_id));
      return {};
    };
    result = co_await InDatabase(shards_, shards_.DatabaseOf(row->member_id), std::move(read));
    MUSTER_CO_TRY(NothingWritten(std::move(result)));
    if (owner && FindIdentity(*owner, key) != nullptr && !MayHaveGiven(*owner, key)) {
      co_return Claimed{Claimed::Verdict::kTaken, std::move(owner), key};
    }
  }
  co_return Claimed{};
}

Task<Result<Claimed>> ClaimProtocol::CommitAcross(const Operation& operation, const std::vector<IdentityKey>& held,
                                                  const CommitStep& commit, const WriteContext& context) {
  const std::uint32_t home = shards_.DatabaseOf(operation.member_id);
  MUSTER_CO_TRY(CheckDeadline(context));
  Claimed claimed;
  ShardStore::Transaction transaction = [&](ShardTransaction& rows) -> Result<void> {
    claimed = {};
    MUSTER_TRY(CheckDeadline(context));
    MUSTER_ASSIGN(std::optional<Member> answer, FindAnswer(rows, context, AnswerUse::kKeep));
    if (answer) {
      claimed = {Claimed::Verdict::kReplayed, std::move(answer), {}};
      return {};
    }
    MUSTER_ASSIGN(const bool may_commit, MayCommit(rows, shards_, operation));
    bool still_held = true;
    if (!held.empty()) {
      // What the member held was not reserved; should it have been unbound since, it must not be bound without.
      MUSTER_ASSIGN(const std::optional<Member> standing, rows.ReadMember(operation.member_id));
      still_held = standing && std::ranges::all_of(held, [&](const IdentityKey& key) {
                     return FindIdentity(*standing, key) != nullptr;
                   });
    }
    std::optional<Member> member;
    if (may_commit && still_held) {
      MUSTER_ASSIGN(member, commit(rows, shards_.Now(home)));
    }
    if (!member) {
      claimed.verdict = Claimed::Verdict::kAgain;
      return RollBack();
    }
    MUSTER_TRY(rows.records().WriteOperation(operation.id, OperationOutcome::kCommitted));
    MUSTER_TRY(KeepAnswer(rows, context, *member));
    claimed = {Claimed::Verdict::kCommitted, std::move(member), {}};
    return {};
  };
  Result<void> result = co_await InDatabase(shards_, home, std::move(transaction));
  if (!result && claimed.verdict != Claimed::Verdict::kAgain) co_return Fail(std::move(result).error());
  co_return claimed;
}

void ClaimProtocol::Release(const Operation& operation, const std::vector<IdentityKey>& keys) {
  std::vector<Swap> swaps;
  swaps.reserve(keys.size());
  for (const IdentityKey& key : keys) swaps.push_back({key, operation.Claim(), std::nullopt});
  SwapInBackground(swaps);
}

void ClaimProtocol::SwapInBackground(const std::vector<Swap>& swaps) {
  std::map<std::uint32_t, std::vector<Swap>> by_database;
  for (const Swap& swap : swaps) by_database[shards_.DatabaseOf(swap.key)].push_back(swap);
  for (auto& [database, there] : by_database) {
    shards_.Run(
        database,
        [some = std::move(there)](ShardTransaction& rows) -> Result<void> {
          for (const Swap& swap : some) {
            MUSTER_TRY(Replace(rows, swap.key, swap.expected, swap.next));
          }
          return {};
        },
        [](const Result<void>&) {});
  }
}

}  // namespace muster
