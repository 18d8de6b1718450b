#pragma once

#include "base/result.h"
#include "topology/topology.h"

namespace muster {

// Makes a document that was restored from a backup newer than everything that was said since the backup: to databases,
// which obey no order of an earlier revision than they have obeyed, to writers, by the fences of their epoch, and to
// caches. What it says of copies is of then, so no commit waits for any of them until they have shown anew that they
// have all; and caches begin empty. STATE_CONFLICT: it cannot be gone on from.
//
// That its primaries are those of the last failover is for whoever restores it to see.
Result<void> RaiseRestored(TopologyDocument& document);

}  // namespace muster
