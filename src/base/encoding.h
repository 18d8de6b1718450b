#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace muster {

std::string ToHex(std::span<const std::uint8_t> bytes);  // lower case
std::optional<std::vector<std::uint8_t>> FromHex(std::string_view text);

// RFC 4648 base64url without padding.
std::string ToBase64Url(std::span<const std::uint8_t> bytes);
std::optional<std::vector<std::uint8_t>> FromBase64Url(std::string_view text);

// RFC 3339 in UTC with microseconds only when there are any: "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000123Z"
// (the mapping of google.protobuf.Timestamp). Parsing takes any offset and up to nine digits, and truncates to microseconds.
std::string FormatTimestamp(std::int64_t micros_since_1970);
std::optional<std::int64_t> ParseTimestamp(std::string_view text);

// True when `text` is well-formed UTF-8 (no surrogates, nothing overlong, nothing above U+10FFFF).
bool IsValidUtf8(std::string_view text);

}  // namespace muster
