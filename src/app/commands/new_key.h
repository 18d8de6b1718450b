#pragma once

#include <string>
#include <string_view>

#include "app/cli/exit_code.h"
#include "app/output/json_text.h"

namespace muster {

// A key that is shown once: {"key":"mk_…","keyId":"…"} on standard output, or in a file of its own.

// Before anything is asked for: the file must not exist and its directory must be there.
Outcome<void> CheckNewKeyFile(const std::string& file);

// Prints the key, or writes it to `file` (mode 0600) and prints the rest, when `file` is given.
Outcome<ExitCode> ShowNewKey(std::string_view json, const std::string& file, OutputFormat format);

}  // namespace muster
