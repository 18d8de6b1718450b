#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/random.h"
#include "base/result.h"
#include "lab/descriptor.h"
#include "lab/layout.h"

namespace muster::lab {

// A lab's directory: mode 0700, with `lab.json` (what it consists of, for its whole life), `lock` (held by the
// supervisor while it runs), `control` (its socket), `supervisor.log`, `secrets/`, and a directory for each component.
//
// Failures are INTERNAL with what the system says, but for those that are named.

// The layout that the directory was made with; none: it holds no lab yet.
Result<std::optional<Layout>> ReadLayout(const std::string& directory);

// The same, or made now on free ports. INVALID_ARGUMENT: `groups` (0: whatever it has, or one) is another number than
// it was made with, or the directory holds something else.
Result<Layout> EnsureLayout(const std::string& directory, int groups, Random& random);

// Passwords and keys that are made once.
Result<void> EnsureSecrets(const Layout& layout, Random& random);
Result<std::string> ReadSecret(const Layout& layout, const std::string& name);

// Held until it is closed. STATE_CONFLICT: by another supervisor.
Result<Descriptor> LockDirectory(const std::string& directory);
// Whether a supervisor holds it.
bool IsLocked(const std::string& directory);

// All of it, if it holds a lab. STATE_CONFLICT: one is running.
Result<void> PurgeDirectory(const std::string& directory);

Result<void> MakeDirectory(const std::string& path);
Result<void> WriteLabFile(const std::string& path, const std::string& content);
Result<std::string> ReadLabFile(const std::string& path);  // its first megabyte
Result<std::string> ReadLabTail(const std::string& path, std::size_t bytes_max);

// Whether nobody listens on, or is bound to, this port of 127.0.0.1.
bool IsFreePort(std::uint16_t port);

}  // namespace muster::lab
