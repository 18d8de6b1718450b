#include "store/binding.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "domain/member_rules.h"
#include "store/binding_claim.h"
#include "store/binding_steps.h"
#include "store/in_database.h"

namespace muster {
namespace {

// Of ids for one member; that chance needs so many of 1,024 databases happens once in 10^42.
constexpr int kDrawsMax = 100'000;

std::vector<IdentityKey> SortedKeys(const Member& member) {
  std::vector<IdentityKey> keys;
  keys.reserve(member.identities.size());
  for (const Identity& identity : member.identities) keys.push_back(identity.key);
  std::ranges::sort(keys);
  return keys;
}

class BindingWriter final : public MemberWriter {
 public:
  explicit BindingWriter(const BindingDependencies& dependencies)
      : shards_(*dependencies.shards),
        catalog_(*dependencies.catalog),
        ids_(*dependencies.ids),
        moves_(*dependencies.shards, *dependencies.clock, *dependencies.timer),
        claims_(*dependencies.shards, *dependencies.clock, *dependencies.timer, moves_) {}

  Task<Result<Member>> Register(Member member, bool imported, WriteContext context) override;
  Task<Result<ImportedMember>> Import(Member member, WriteContext context) override;
  Task<Result<Member>> Update(MemberId id, MemberPatch patch, WriteContext context) override;
  Task<Result<Member>> Bind(MemberId id, Identity identity, WriteContext context) override;
  Task<Result<Member>> Unbind(MemberId id, IdentityKey key, WriteContext context) override;
  Task<Result<Member>> Close(MemberId id, WriteContext context) override;

 private:
  // What a commit found in its way or done before.
  struct Found {
    bool was_in = false;
    std::optional<Member> marked = {};
  };
  Operation Begin(MemberId id) { return {ids_.NextOperationId(), id, shards_.Now(shards_.DatabaseOf(id))}; }

  Task<Result<ImportedMember>> Create(Member member, bool imported, WriteContext context);
  static CommitStep Creation(Member& member, bool imported, bool allocated, Found& found, const WriteContext& context);
  Task<Result<Member>> AnswerTaken(const Member& wanted, bool allocated, Claimed claimed, const WriteContext& context);
  MemberId AllocateId(const WriteContext& context);
  Task<Result<Member>> CommitEdit(MemberId id, const Edit& edit, const WriteContext& context);

  ShardStore& shards_;
  const IdentityCatalog& catalog_;
  IdAllocator& ids_;
  MoveWaiter moves_;
  ClaimProtocol claims_;
};

// ---- the verbs that reserve

Task<Result<Member>> BindingWriter::Bind(MemberId id, Identity identity, WriteContext context) {
  const std::vector<IdentityKey> keys = {identity.key};
  const Edit edit{ChangeType::kIdentityBound, {}, [&](Member& member, Timestamp now) {
                    return ApplyBind(member, identity, catalog_, now);
                  }};
  std::optional<Member> marked;
  const CommitStep commit = [&](ShardTransaction& rows, Timestamp now) -> Result<std::optional<Member>> {
    marked.reset();
    MUSTER_ASSIGN(Commitment commitment, Commit(rows, id, edit, context, now));
    if (!commitment.is_marked) return std::move(commitment.member);
    marked = std::move(commitment.member);
    return std::nullopt;
  };
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    const Operation operation = Begin(id);
    identity.bound_by = operation.id;
    MUSTER_CO_ASSIGN(Claimed claimed, co_await claims_.Claim(operation, keys, commit, context));
    if (claimed.verdict == Claimed::Verdict::kCommitted) co_return std::move(*claimed.member);
    if (claimed.verdict == Claimed::Verdict::kReplayed) co_return Replay(std::move(*claimed.member), context);
    if (claimed.verdict == Claimed::Verdict::kTaken) {
      co_return Fail(Reason::kIdentityTaken, "another member holds this identity");
    }
    if (marked) {
      Result<void> settled = co_await moves_.WaitFor(*std::exchange(marked, std::nullopt), operation.id, context);
      MUSTER_CO_TRY(std::move(settled));
    }
  }
  co_return FailContended();
}

Task<Result<Member>> BindingWriter::Register(Member member, bool imported, WriteContext context) {
  Task<Result<ImportedMember>> creation = Create(std::move(member), imported, std::move(context));
  MUSTER_CO_ASSIGN(ImportedMember created, co_await std::move(creation));
  co_return std::move(created.member);
}

Task<Result<ImportedMember>> BindingWriter::Import(Member member, WriteContext context) {
  MUSTER_CHECK(context.operation_id.has_value());
  return Create(std::move(member), true, std::move(context));
}

Task<Result<ImportedMember>> BindingWriter::Create(Member member, bool imported, WriteContext context) {
  if (!imported) {
    member.version = Version(1);
    member.state = MemberState::kActive;
    member.merged_into = {};
  }
  MUSTER_CO_TRY(CheckImportedVersion(member.version));
  MUSTER_CO_TRY(CheckFields(member));
  MUSTER_CO_TRY(imported ? CheckImportedIdentities(member, catalog_) : CheckIdentities(member, catalog_));

  const bool allocated = member.id == MemberId(0);
  if (context.idempotency) context.idempotency->is_at_key = allocated;
  const std::vector<IdentityKey> keys = SortedKeys(member);
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    if (allocated) member.id = AllocateId(context);
    const Operation operation = Begin(member.id);
    member.created_by = context.operation_id.value_or(operation.id);
    for (Identity& identity : member.identities) identity.bound_by = operation.id;
    Found found;
    const CommitStep commit = Creation(member, imported, allocated, found, context);
    MUSTER_CO_ASSIGN(Claimed claimed, co_await claims_.Claim(operation, keys, commit, context));
    if (claimed.verdict == Claimed::Verdict::kCommitted) {
      co_return ImportedMember{std::move(*claimed.member), found.was_in};
    }
    if (claimed.verdict == Claimed::Verdict::kReplayed) {
      co_return ImportedMember{Replay(std::move(*claimed.member), context), true};
    }
    if (claimed.verdict == Claimed::Verdict::kTaken) {
      MUSTER_CO_ASSIGN(Member standing, co_await AnswerTaken(member, allocated, std::move(claimed), context));
      co_return ImportedMember{std::move(standing), true};
    }
    if (found.marked) {
      Result<void> settled = co_await moves_.WaitFor(*std::move(found.marked), operation.id, context);
      MUSTER_CO_TRY(std::move(settled));
    }
  }
  co_return FailContended();
}

// A registration that may be sent again makes its member where its key lives: there the second one looks.
MemberId BindingWriter::AllocateId(const WriteContext& context) {
  MemberId id = ids_.NextMemberId();
  if (!context.idempotency) return id;
  // One in as many as there are shards lives there at least, now or where it is in a moment: that of the key does.
  const ShardId shard = ShardOf(context.idempotency->key);
  for (int draws = 0; shards_.DatabaseOf(id) != shards_.DatabaseOf(shard); ++draws) {
    MUSTER_CHECK(draws < kDrawsMax);
    id = ids_.NextMemberId();
  }
  return id;
}

// Writes a new member; one that the same operation made before is answered as it is now (`was_in`).
CommitStep BindingWriter::Creation(Member& member, bool imported, bool allocated, Found& found,
                                   const WriteContext& context) {
  return [&member, imported, allocated, &found, &context](ShardTransaction& rows,
                                                          Timestamp now) -> Result<std::optional<Member>> {
    MUSTER_ASSIGN(std::optional<Member> standing, rows.ReadMember(member.id));
    found = {.was_in = standing && standing->created_by == member.created_by};
    if (found.was_in && standing->move && standing->move->role == MoveMark::Role::kGives) {
      found.marked = std::move(standing);
      return std::nullopt;
    }
    if (found.was_in) return standing;
    if (standing) {
      if (allocated) return std::nullopt;
      return Fail(Reason::kMemberExists, "a member with this id exists; leave the id out to have one allocated");
    }
    if (!imported) {
      member.create_time = member.update_time = now;
      for (Identity& identity : member.identities) identity.bind_time = now;
    }
    const ChangeType type = imported ? ChangeType::kImported : ChangeType::kRegistered;
    MUSTER_TRY(rows.WriteMember(member, CreationOf(member, type, context, now)));
    return member;
  };
}

// An identity of a new member is held by another. That is success when it is the one this very operation had created,
// and MEMBER_EXISTS is said before IDENTITY_TAKEN.
Task<Result<Member>> BindingWriter::AnswerTaken(const Member& wanted, bool allocated, Claimed claimed,
                                                const WriteContext& context) {
  if (claimed.member->created_by == wanted.created_by) co_return std::move(*claimed.member);
  if (!allocated) {
    std::optional<Member> standing;
    std::optional<Member> answer;
    ShardStore::Transaction read = [&](ShardTransaction& rows) -> Result<void> {
      MUSTER_ASSIGN(answer, FindAnswer(rows, context, AnswerUse::kLook));
      MUSTER_ASSIGN(standing, rows.ReadMember(wanted.id));
      return {};
    };
    MUSTER_CO_TRY(claims_.CheckDeadline(context));
    Result<void> result = co_await InDatabase(shards_, shards_.DatabaseOf(wanted.id), std::move(read));
    MUSTER_CO_TRY(ClaimProtocol::NothingWritten(std::move(result)));
    if (answer) co_return Replay(*std::move(answer), context);
    if (standing && standing->created_by == wanted.created_by) co_return std::move(*standing);
    if (standing) co_return Fail(Reason::kMemberExists, "a member with this id exists");
  }
  Error error{.reason = Reason::kIdentityTaken, .message = "another member holds one of these identities"};
  for (std::size_t index = 0; index < wanted.identities.size(); ++index) {
    if (wanted.identities[index].key == claimed.key) {
      error.violations.push_back({"identities[" + std::to_string(index) + "]", "another member holds it"});
    }
  }
  co_return Fail(std::move(error));
}

// ---- the verbs that only change the member's own row

Task<Result<Member>> BindingWriter::Update(MemberId id, MemberPatch patch, WriteContext context) {
  const Edit edit{ChangeType::kUpdated, patch.fields,
                  [&](Member& member, Timestamp now) { return ApplyUpdate(member, patch, now); }};
  co_return co_await CommitEdit(id, edit, context);
}

Task<Result<Member>> BindingWriter::Unbind(MemberId id, IdentityKey key, WriteContext context) {
  const Edit edit{
      ChangeType::kIdentityUnbound, {}, [&](Member& member, Timestamp now) { return ApplyUnbind(member, key, now); }};
  co_return co_await CommitEdit(id, edit, context);
}

Task<Result<Member>> BindingWriter::Close(MemberId id, WriteContext context) {
  const Edit edit{ChangeType::kClosed, {}, [](Member& member, Timestamp now) { return ApplyClose(member, now); }};
  co_return co_await CommitEdit(id, edit, context);
}

// Commits, and frees the lookup rows of what the member gave up: each by compare-and-swap on the operation that had
// bound it, which the member row remembers. By the key alone, or by an operation read from the lookup row afterwards, a
// later bind could be freed. Rows of this database go with the commit, the others after it.
Task<Result<Member>> BindingWriter::CommitEdit(MemberId id, const Edit& edit, const WriteContext& context) {
  const std::uint32_t home = shards_.DatabaseOf(id);
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    MUSTER_CO_TRY(claims_.CheckDeadline(context));
    std::optional<Member> member;
    bool is_replay = false;
    bool is_marked = false;
    std::vector<ClaimProtocol::Swap> elsewhere;
    ShardStore::Transaction transaction = [&](ShardTransaction& rows) -> Result<void> {
      elsewhere.clear();
      MUSTER_TRY(claims_.CheckDeadline(context));
      MUSTER_ASSIGN(member, FindAnswer(rows, context, AnswerUse::kKeep));
      is_replay = member.has_value();
      if (is_replay) return {};
      MUSTER_ASSIGN(Commitment commitment, Commit(rows, id, edit, context, shards_.Now(home)));
      is_marked = commitment.is_marked;
      member = std::move(commitment.member);
      if (is_marked) return {};
      for (const Identity& identity : commitment.freed) {
        const LookupRow row{id, identity.bound_by};
        if (shards_.DatabaseOf(identity.key) != home) {
          elsewhere.push_back({identity.key, row, std::nullopt});
          continue;
        }
        MUSTER_TRY(Replace(rows, identity.key, row, std::nullopt));
      }
      return KeepAnswer(rows, context, *member);
    };
    Result<void> result = co_await InDatabase(shards_, home, std::move(transaction));
    MUSTER_CO_TRY(std::move(result));
    if (is_replay) co_return Replay(std::move(*member), context);
    if (!is_marked) {
      claims_.SwapInBackground(elsewhere);
      co_return std::move(*member);
    }
    Result<void> settled = co_await moves_.WaitFor(*std::move(member), ids_.NextOperationId(), context);
    MUSTER_CO_TRY(std::move(settled));
  }
  co_return FailContended();
}

}  // namespace

std::unique_ptr<MemberWriter> MakeBindingWriter(const BindingDependencies& dependencies) {
  MUSTER_CHECK(dependencies.shards && dependencies.catalog && dependencies.ids && dependencies.clock &&
               dependencies.timer);
  return std::make_unique<BindingWriter>(dependencies);
}

}  // namespace muster
