#pragma once

#include <memory>

#include "base/clock.h"
#include "base/timer.h"
#include "domain/id_allocator.h"
#include "domain/identity_catalog.h"
#include "domain/ports/member_merger.h"
#include "domain/ports/member_writer.h"
#include "domain/ports/shard_store.h"

namespace muster {

struct BindingDependencies {
  ShardStore* shards = nullptr;
  const IdentityCatalog* catalog = nullptr;
  IdAllocator* ids = nullptr;
  const Clock* clock = nullptr;
  Timer* timer = nullptr;
};

// How long an operation may take from its beginning to its commit, by the clock of its member's database; an older one
// gives up. An operation is tried again under a new id, so only its own process ever waits for it.
inline constexpr Duration kOperationAgeMax = std::chrono::seconds(30);

// When the outcome of an operation may be forgotten. An outcome is only ever asked for by the commit of its own
// operation
// ("have I been aborted?"); everybody else decides by the member row. It is recorded after the operation began, and a
// commit later than kOperationAgeMax after that is refused whatever is recorded; both by the same clock. So any
// retention above kOperationAgeMax is right, whether or not a lookup row still names the operation, and the rest of the
// hour is for a clock that is set wrong and for a failover to a machine whose clock differs. models/binding.pml checks
// it. A clock that leaves by more than that and comes back breaks it; OperationsUnderWay does not ask a clock.
inline constexpr Duration kOperationRetention = std::chrono::hours(1);

// How often a write is tried again from its beginning after another writer aborted it, it grew too old, or the member
// id that was allocated for it was taken. Beyond: OVERLOADED.
inline constexpr int kAttemptsMax = 8;

// How often an attempt finds an identity free to take over and taken again when it does. Beyond: OVERLOADED.
inline constexpr int kReservationTriesMax = 8;

// A reservation whose operation may still be under way is waited for before it is aborted, so long since it was first
// seen. Identities are reserved in the order of their keys, so nobody waits in a circle, and the older of two waits
// less long than the younger: the oldest of all is aborted by nobody as long as it takes less than the longer patience.
// What a crash left costs the next writer this patience, where it is not known to have ended (OperationsUnderWay). This
// is for progress alone; an abort at any moment would be right.
inline constexpr Duration kPatienceWithYounger = std::chrono::seconds(1);
inline constexpr Duration kPatienceWithOlder = std::chrono::seconds(3);

// The writes of the directory over sharded transactions: "one identity, one member" across shards and crashes. What a
// write refuses, it has not written; reservations that it made before are given back, and those that a crash leaves
// behind are harmless (binding_steps.h, sweeper.h).
//
// Which operation made a member (`created_by`) is the caller's `WriteContext::operation_id` when it has one; what
// identities are reserved under is a new operation for each attempt, so a repeated import never competes with itself.
std::unique_ptr<MemberWriter> MakeBindingWriter(const BindingDependencies& dependencies);

// The same for two members at once (merge.h).
std::unique_ptr<MemberMerger> MakeBindingMerger(const BindingDependencies& dependencies);

}  // namespace muster
