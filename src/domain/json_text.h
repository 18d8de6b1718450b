#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/clock.h"

namespace muster::json_text {

// Each writes text at `out`, which must have room for as many bytes as its bound says, and answers the end of what it
// wrote.

inline constexpr std::size_t kNumberBytesMax = 20;
char* WriteNumber(char* out, std::int64_t number);

// RFC 3339 in UTC with 0, 3 or 6 digits after the second, as few as keep the value: the JSON of
// google.protobuf.Timestamp. Times outside the years 1 to 9999, which it does not know, are written as the nearest one
// it does.
inline constexpr std::size_t kTimeBytesMax = 27;
char* WriteTime(char* out, Timestamp time);

// `text` with the escapes that RFC 8259 demands (quote, backslash, control characters) and no others.
inline constexpr std::size_t kEscapedBytesPerByteMax = 6;
char* WriteEscaped(char* out, std::string_view text);

// How long the value is that `text` begins with, which must be JSON without spaces, as the writers here make it; of
// other text some length up to its own.
std::size_t ValueLength(std::string_view text);

// The length of the longest prefix of `text` that needs no escape.
std::size_t PlainPrefix(std::string_view text);

}  // namespace muster::json_text
