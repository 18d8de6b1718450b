#include "move.h"

#include <optional>
#include <utility>

#include "domain/member_rules.h"
#include "store/in_database.h"

namespace muster::sim {

Task<Result<Member>> Move(ShardStore& shards, IdAllocator& ids, MemberId from, MemberId to, IdentityKey key,
                          WriteContext context) {
  const std::uint32_t database = shards.DatabaseOf(from);
  if (from == to || shards.DatabaseOf(to) != database || shards.DatabaseOf(key) != database) {
    co_return Fail(Reason::kStateConflict, "not in one database");
  }
  const OperationId operation = ids.NextOperationId();
  Member moved;
  ShardStore::Transaction move = [&](ShardTransaction& rows) -> Result<void> {
    MUSTER_ASSIGN(const std::optional<Member> source, rows.ReadMember(from));
    MUSTER_ASSIGN(const std::optional<Member> target, rows.ReadMember(to));
    if (!source || !target) return Fail(Reason::kMemberNotFound, "no such member");
    const Identity* identity = FindIdentity(*source, key);
    if (identity == nullptr) return Fail(Reason::kIdentityNotFound, "the member does not hold it");
    if (target->state != MemberState::kActive) return Fail(Reason::kStateConflict, "the member is closed");
    const Timestamp now = shards.Now(database);
    Member giver = *source;
    MUSTER_TRY(ApplyUnbind(giver, key, now));
    moved = *target;
    moved.version = Version(moved.version.value() + 1);
    moved.update_time = now;
    moved.identities.push_back(*identity);
    moved.identities.back().bound_by = operation;
    for (const Member* member : {&giver, &moved}) {
      const Change change{.member_id = member->id,
                          .version = member->version,
                          .type = ChangeType::kMerged,
                          .time = now,
                          .caller = context.caller,
                          .request_id = context.request_id,
                          .fields = {},
                          .identities = {}};
      MUSTER_TRY(rows.WriteMember(*member, change));
    }
    return rows.WriteLookup(key, LookupRow{to, operation});
  };
  Result<void> result = co_await InDatabase(shards, database, std::move(move));
  MUSTER_CO_TRY(std::move(result));
  co_return moved;
}

}  // namespace muster::sim
