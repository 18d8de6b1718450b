#pragma once

#include <vector>

#include "base/result.h"
#include "domain/identity_catalog.h"
#include "domain/member.h"
#include "domain/ports/shard_store.h"

namespace muster {

// Merging and taking it back are one thing: a member gives identities to another. These are its rules, as pure
// functions; store/merge.h does it.
//
//             gives      takes
//   merge     source     survivor    all that the source holds; the source becomes MERGED
//   unmerge   survivor   source      what the source brought, as far as it is still there; the source becomes ACTIVE

// Whether `source` may be merged into `survivor`. False: it has been. STATE_CONFLICT: one of them is not ACTIVE.
Result<bool> CheckMerge(const Member& source, const Member& survivor);
// Whether that may be taken back. STATE_CONFLICT: the survivor is not ACTIVE, or the source not merged into it.
Result<void> CheckUnmerge(const Member& source, const Member& survivor);

// What a merge of `source` has to remember.
MergeRecord RecordOf(const Member& source);
// What of it `survivor` holds as it was brought: not what was unbound since, nor what was bound anew.
std::vector<IdentityKey> StillHeld(const Member& survivor, const MergeRecord& record);

// What the mark of `giver` says that it gives.
std::vector<Identity> GivenBy(const Member& giver);
// The giver once it has given what its mark says.
Member AfterGiving(const Member& giver);
// The taker once it has taken that; it bears no mark. LIMIT_EXCEEDED, of a merge.
Result<Member> AfterTaking(const Member& taker, const Member& giver, const IdentityCatalog& catalog, Timestamp now);

}  // namespace muster
