#pragma once

#include <cstddef>
#include <string>

#include "base/options.h"
#include "base/result.h"

namespace muster {

inline constexpr std::size_t kConfigurationBytesMax = std::size_t{1} << 20;

// Sets every option that the TOML file at `path` gives; the source of each is "path:line". INVALID_ARGUMENT, beginning
// with "path:line:column" where the text is not TOML and with "path:line" where an option is unknown (the nearest known
// one is named), has the wrong type or is out of bounds. What was set before an error stays set.
Result<void> LoadToml(const std::string& path, OptionRegistry& options);

// Sets every option that a variable MUSTER_A__B gives: a.b. `environment` is a null-terminated array as `environ` is.
// MUSTER_SERVER and MUSTER_KEY_FILE belong to the client commands and are skipped, and so is a name without a double
// underscore that resembles no option (orchestrators set MUSTER_PORT for a service called muster). Any other unknown
// MUSTER_ variable is INVALID_ARGUMENT.
Result<void> LoadEnvironment(const char* const* environment, OptionRegistry& options);

}  // namespace muster
