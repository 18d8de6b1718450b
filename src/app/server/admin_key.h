#pragma once

#include <string>

#include "app/cli/exit_code.h"
#include "base/clock.h"
#include "base/random.h"
#include "domain/keyring.h"
#include "topology/topology.h"
#include "traffic/callers.h"

namespace muster {

// Makes the caller `admin` on the first start: its key is in `path` (mode 0600), durably, before the caller exists.
// Later starts change nothing: an operator may have moved the key away.
Outcome<void> EnsureAdminKey(CallerDirectory& callers, const std::string& path);

// Makes `admin` anew, with all scopes, enabled and with a fresh key in `path`; the old ones end once that is there,
// durably. For an administrator who lost the key or the way in.
Outcome<void> ReplaceAdminKey(TopologyStore& topology, const Keyring& keyring, const Clock& clock, Random& random,
                              const std::string& path);

}  // namespace muster
