#include "resolve.h"

#include <utility>

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

Task<Result<bool>> Lists(ShardStore& shards, MemberId id, IdentityKey key) {
  bool lists = false;
  ShardStore::Transaction read = [&](ShardTransaction& rows) -> Result<void> {
    MUSTER_ASSIGN(const std::optional<Member> owner, rows.ReadMember(id));
    lists = owner && FindIdentity(*owner, key) != nullptr;
    return {};
  };
  Result<void> result = co_await InDatabase(shards, shards.DatabaseOf(id), std::move(read));
  MUSTER_CO_TRY(std::move(result));
  co_return lists;
}

}  // namespace

Task<Result<std::optional<MemberId>>> Resolve(ShardStore& shards, IdentityKey key, bool one_look) {
  MUSTER_CO_ASSIGN(std::optional<LookupRow> row, co_await ReadRow(shards, key));
  for (int look = 0; look < kResolveLooksMax; ++look) {
    if (!row) co_return std::nullopt;
    MUSTER_CO_ASSIGN(const bool lists, co_await Lists(shards, row->member_id, key));
    if (lists) co_return row->member_id;
    if (one_look) co_return std::nullopt;
    MUSTER_CO_ASSIGN(const std::optional<LookupRow> again, co_await ReadRow(shards, key));
    if (again == row) co_return std::nullopt;
    row = again;
  }
  co_return Fail(Reason::kOverloaded, "the identity keeps changing hands");
}

}  // namespace muster::sim
