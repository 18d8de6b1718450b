#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace muster {

// The value of a hexadecimal digit of either case; -1: it is none.
constexpr int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string ToHex(std::span<const std::uint8_t> bytes);                   // lower case
std::optional<std::vector<std::uint8_t>> FromHex(std::string_view text);  // either case

// RFC 4648 base64url without padding. Decoding refuses padding, other alphabets and left-over bits that are not zero,
// so that bytes have exactly one spelling.
std::string ToBase64Url(std::span<const std::uint8_t> bytes);
std::optional<std::vector<std::uint8_t>> FromBase64Url(std::string_view text);

// RFC 3339 in UTC with no, three or six digits of a second, as few as say it: "2026-01-02T03:04:05Z",
// "2026-01-02T03:04:05.120Z", "2026-01-02T03:04:05.000123Z" (the mapping of google.protobuf.Timestamp, whose years 1 to
// 9999 are the range; formatting clamps to it). Parsing takes any offset and up to nine digits, and truncates to
// microseconds; it refuses leap seconds, which 1970-based time cannot hold.
std::string FormatTimestamp(std::int64_t micros_since_1970);
std::optional<std::int64_t> ParseTimestamp(std::string_view text);

// True when `text` is well-formed UTF-8 (no surrogates, nothing overlong, nothing above U+10FFFF).
bool IsValidUtf8(std::string_view text);

// How many bytes (1 to 4) the well-formed code point at the start of `text` has; 0 when there is none.
std::size_t Utf8SequenceLength(std::string_view text);

}  // namespace muster
