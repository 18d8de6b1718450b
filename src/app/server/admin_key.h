#pragma once

#include <string>

#include "app/cli/exit_code.h"
#include "traffic/callers.h"

namespace muster {

// Makes the caller `admin` on the first start: its key is in `path` (mode 0600), durably, before the caller exists.
// Later starts change nothing: an operator may have moved the key away.
Outcome<void> EnsureAdminKey(CallerDirectory& callers, const std::string& path);

// Gives `admin` a fresh key in `path`; the old ones end at once. For an administrator who lost it.
Outcome<void> ReplaceAdminKey(CallerDirectory& callers, const std::string& path);

}  // namespace muster
