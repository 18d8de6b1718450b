#include "store/binding_steps.h"

#include <utility>

#include "domain/member_rules.h"
#include "store/binding.h"

namespace muster {

Result<std::optional<LookupRow>> Reserve(ShardTransaction& transaction, const IdentityKey& key,
                                         const LookupRow& claim) {
  MUSTER_ASSIGN(const std::optional<LookupRow> standing, transaction.ReadLookup(key));
  if (standing == claim) return std::nullopt;
  if (standing) return standing;
  MUSTER_TRY(transaction.WriteLookup(key, claim));
  return std::nullopt;
}

Result<std::optional<Member>> Settle(ShardTransaction& transaction, const IdentityKey& key, const LookupRow& row) {
  MUSTER_ASSIGN(std::optional<Member> owner, transaction.ReadMember(row.member_id));
  if (owner && FindIdentity(*owner, key) != nullptr) return owner;
  MUSTER_ASSIGN(const std::optional<OperationOutcome> outcome, transaction.records().ReadOperation(row.operation_id));
  if (!outcome) {
    MUSTER_TRY(transaction.records().WriteOperation(row.operation_id, OperationOutcome::kAborted));
  }
  return std::nullopt;
}

Result<bool> IsUndecided(ShardTransaction& transaction, const IdentityKey& key, const LookupRow& row) {
  MUSTER_ASSIGN(const std::optional<OperationOutcome> outcome, transaction.records().ReadOperation(row.operation_id));
  if (outcome) return false;
  MUSTER_ASSIGN(const std::optional<Member> owner, transaction.ReadMember(row.member_id));
  return !owner || FindIdentity(*owner, key) == nullptr;
}

Result<bool> Replace(ShardTransaction& transaction, const IdentityKey& key, const LookupRow& expected,
                     const std::optional<LookupRow>& next) {
  MUSTER_ASSIGN(const std::optional<LookupRow> standing, transaction.ReadLookup(key));
  if (standing != expected) return false;
  MUSTER_TRY(transaction.WriteLookup(key, next));
  return true;
}

Result<bool> MayCommit(ShardTransaction& transaction, const ShardStore& shards, const Operation& operation) {
  MUSTER_ASSIGN(const std::optional<OperationOutcome> outcome, transaction.records().ReadOperation(operation.id));
  if (outcome) return false;
  // The clock is asked after the outcome was read. The other way round, a transaction that is held up between the two
  // could find no outcome because it has been forgotten meanwhile, and think itself young. A negative age means that
  // the clock was set back: how old the operation is cannot be known any more.
  const Duration age = shards.Now(shards.DatabaseOf(operation.member_id)) - operation.begun_at;
  return age >= Duration(0) && age <= kOperationAgeMax;
}

Result<std::optional<Member>> FindAnswer(ShardTransaction& transaction, const WriteContext& context, AnswerUse use) {
  if (!context.idempotency) return std::nullopt;
  if (context.idempotency->is_at_key) use = Keeps(use) ? AnswerUse::kKeepAtKey : AnswerUse::kLookAtKey;
  MUSTER_ASSIGN(std::optional<KeptAnswer> kept, transaction.records().ReadAnswer(context.idempotency->key, use));
  if (!kept) return std::nullopt;
  if (kept->fingerprint != context.idempotency->fingerprint) {
    return Fail(Reason::kIdempotencyMismatch,
                "this Idempotency-Key came with another request before; choose a new key for each request");
  }
  return std::move(kept->member);
}

Member Replay(Member answer, const WriteContext& context) {
  if (context.idempotency->replayed != nullptr) *context.idempotency->replayed = true;
  return answer;
}

bool IsRefusal(const Error& error) {
  switch (error.reason) {
    case Reason::kInternal:
    case Reason::kOverloaded:
    case Reason::kWritesUnavailable:
    case Reason::kOutcomeUnknown:
    case Reason::kDeadlineExceeded:
      return false;
    default:
      return true;
  }
}

Result<void> KeepAnswer(ShardTransaction& transaction, const WriteContext& context, const Member& member) {
  if (!context.idempotency) return {};
  return transaction.records().WriteAnswer(context.idempotency->key, {context.idempotency->fingerprint, member});
}

namespace {

// The identities that `after` lists otherwise than `before` did: they have been verified.
std::vector<Identity> Altered(const Member& before, const Member& after) {
  std::vector<Identity> altered;
  for (const Identity& identity : after.identities) {
    const Identity* previous = FindIdentity(before, identity.key);
    if (previous != nullptr && *previous != identity) altered.push_back(identity);
  }
  return altered;
}

// The identities of `some` that `others` does not list.
std::vector<Identity> Missing(const std::vector<Identity>& some, const Member& others) {
  std::vector<Identity> missing;
  for (const Identity& identity : some) {
    if (FindIdentity(others, identity.key) == nullptr) missing.push_back(identity);
  }
  return missing;
}

void AddReferences(const std::vector<Identity>& identities, Change& change) {
  for (const Identity& identity : identities) {
    change.identities.push_back({identity.kind, identity.platform, identity.key});
  }
}

Change ChangeOf(const Member& member, ChangeType type, const WriteContext& context, Timestamp now) {
  return {.member_id = member.id,
          .version = member.version,
          .type = type,
          .time = now,
          .caller = context.caller,
          .request_id = context.request_id,
          .fields = {},
          .identities = {},
          .other_member_id = {}};
}

}  // namespace

Result<Commitment> Commit(ShardTransaction& transaction, MemberId id, const Edit& edit, const WriteContext& context,
                          Timestamp now) {
  MUSTER_ASSIGN(std::optional<Member> standing, transaction.ReadMember(id));
  if (!standing) return Fail(Reason::kMemberNotFound, "there is no member with this id");
  if (standing->move && standing->move->role == MoveMark::Role::kGives) {
    return Commitment{.member = *std::move(standing), .freed = {}, .is_marked = true};
  }
  MUSTER_TRY(CheckVersion(*standing, context.expected_version));

  Member member = *standing;
  MUSTER_ASSIGN(const bool changed, edit.apply(member, now));
  if (!changed) return Commitment{.member = std::move(*standing), .freed = {}};

  Change change = ChangeOf(member, edit.type, context, now);
  change.fields = ChangedFields(edit.fields, *standing, member);
  std::vector<Identity> freed = Missing(standing->identities, member);
  AddReferences(freed, change);
  AddReferences(Missing(member.identities, *standing), change);
  if (const std::vector<Identity> altered = Altered(*standing, member); !altered.empty()) {
    // A bind of what is held already: nothing was bound, and the history must not say so.
    change.type = ChangeType::kUpdated;
    change.fields = {"identities"};
    AddReferences(altered, change);
  }
  MUSTER_TRY(transaction.WriteMember(member, change));
  return Commitment{.member = std::move(member), .freed = std::move(freed)};
}

Change CreationOf(const Member& member, ChangeType type, const WriteContext& context, Timestamp now) {
  Change change = ChangeOf(member, type, context, now);
  AddReferences(member.identities, change);
  return change;
}

}  // namespace muster
