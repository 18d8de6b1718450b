#pragma once

#include <optional>

#include "base/task.h"
#include "domain/ports/shard_store.h"

namespace muster::sim {

// How often a lookup row that keeps changing is looked at.
inline constexpr int kResolveLooksMax = 16;

// Who holds an identity, by the read steps of the protocol: the lookup row, its owner, and, when the owner does not
// list the identity, the lookup row once more. `one_look` leaves the last one out: a planted bug.
Task<Result<std::optional<MemberId>>> Resolve(ShardStore& shards, IdentityKey key, bool one_look);

// A member as readers see it, by the steps of store/settled_member.h.
Task<Result<std::optional<Member>>> Get(ShardStore& shards, MemberId id);

}  // namespace muster::sim
