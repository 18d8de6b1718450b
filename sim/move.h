#pragma once

#include "base/task.h"
#include "domain/id_allocator.h"
#include "domain/ports/member_writer.h"
#include "domain/ports/shard_store.h"

namespace muster::sim {

// Moves an identity from one member to another in one transaction, as a merge will: there is no moment at which nobody
// holds it, which is what resolve's second look is for. The three live in one database, else STATE_CONFLICT. Answers
// the new holder.
Task<Result<Member>> Move(ShardStore& shards, IdAllocator& ids, MemberId from, MemberId to, IdentityKey key,
                          WriteContext context);

}  // namespace muster::sim
