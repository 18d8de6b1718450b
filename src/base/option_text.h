#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace muster {

// The texts of option values. An error's message says what the value must be and nothing else: the registry adds the
// name and the source.
Result<std::int64_t> ParseInteger(std::string_view text);
Result<std::int64_t> ParseBytes(std::string_view text);         // "512", "64 KiB", "256MiB", "2 GiB"
Result<std::int64_t> ParseMilliseconds(std::string_view text);  // "250ms", "10s", "5m", "24h"
Result<bool> ParseBoolean(std::string_view text);               // "true", "false"
Result<void> CheckText(std::string_view text);                  // UTF-8 without control characters

// In the largest unit that holds the value exactly; what the parsers above read back.
std::string ShowBytes(std::int64_t bytes);
std::string ShowMilliseconds(std::int64_t milliseconds);

}  // namespace muster
