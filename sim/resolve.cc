#include "resolve.h"

#include <utility>

#include "domain/merge_rules.h"
#include "store/in_database.h"

namespace muster::sim {
namespace {

Task<Result<std::optional<LookupRow>>> ReadRow(ShardStore& shards, IdentityKey key) {
  std::optional<LookupRow> row;
  ShardStore::Transaction read = [&](ShardTransaction& rows) -> Result<void> {
    MUSTER_ASSIGN(row, rows.ReadLookup(key));
    return {};
  };
  Result<void> result = co_await InDatabase(shards, shards.DatabaseOf(key), std::move(read));
  MUSTER_CO_TRY(std::move(result));
  co_return row;
}

Task<Result<std::optional<Member>>> ReadMember(ShardStore& shards, MemberId id) {
  std::optional<Member> member;
  ShardStore::Transaction read = [&](ShardTransaction& rows) -> Result<void> {
    MUSTER_ASSIGN(member, rows.ReadMember(id));
    return {};
  };
  Result<void> result = co_await InDatabase(shards, shards.DatabaseOf(id), std::move(read));
  MUSTER_CO_TRY(std::move(result));
  co_return member;
}

bool Bears(const std::optional<Member>& member, MoveMark::Role role, OperationId operation) {
  return member && member->move && member->move->role == role && member->move->operation_id == operation;
}

struct Settled {
  std::optional<Member> member;
  std::optional<MemberId> heir;
};

Task<Result<Settled>> ReadSettled(ShardStore& shards, MemberId id) {
  MUSTER_CO_ASSIGN(std::optional<Member> member, co_await ReadMember(shards, id));
  for (int look = 0; look < kResolveLooksMax; ++look) {
    if (!member || !member->move || member->move->role != MoveMark::Role::kGives) co_return Settled{member, {}};
    const MoveMark mark = *member->move;
    MUSTER_CO_ASSIGN(const std::optional<Member> taker, co_await ReadMember(shards, mark.other));
    if (Bears(taker, MoveMark::Role::kTakes, mark.operation_id)) co_return Settled{AfterGiving(*member), mark.other};
    MUSTER_CO_ASSIGN(member, co_await ReadMember(shards, id));
    if (Bears(member, MoveMark::Role::kGives, mark.operation_id)) co_return Settled{member, {}};
  }
  co_return Fail(Reason::kOverloaded, "the member keeps being merged");
}

bool Lists(const Settled& settled, const IdentityKey& key) {
  return settled.member && FindIdentity(*settled.member, key) != nullptr;
}

}  // namespace

Task<Result<std::optional<Member>>> Get(ShardStore& shards, MemberId id) {
  MUSTER_CO_ASSIGN(Settled settled, co_await ReadSettled(shards, id));
  co_return std::move(settled.member);
}

Task<Result<std::optional<MemberId>>> Resolve(ShardStore& shards, IdentityKey key, bool one_look) {
  MUSTER_CO_ASSIGN(std::optional<LookupRow> row, co_await ReadRow(shards, key));
  for (int look = 0; look < kResolveLooksMax; ++look) {
    if (!row) co_return std::nullopt;
    MUSTER_CO_ASSIGN(const Settled owner, co_await ReadSettled(shards, row->member_id));
    if (Lists(owner, key)) co_return row->member_id;
    if (owner.heir) {
      MUSTER_CO_ASSIGN(const Settled heir, co_await ReadSettled(shards, *owner.heir));
      if (Lists(heir, key)) co_return *owner.heir;
    }
    if (one_look) co_return std::nullopt;
    MUSTER_CO_ASSIGN(const std::optional<LookupRow> again, co_await ReadRow(shards, key));
    if (again == row) co_return std::nullopt;
    row = again;
  }
  co_return Fail(Reason::kOverloaded, "the identity keeps changing hands");
}

}  // namespace muster::sim
