#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace muster::redis {

// As many digits as the largest 63-bit integer has.
inline constexpr std::size_t kPaddedDigits = 19;

// A number whose order as text is its own: 19 digits. Not negative.
inline std::string Padded(std::int64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(kPaddedDigits - digits.size(), '0') + digits;
}

inline std::optional<std::int64_t> ParsePadded(std::string_view text) {
  std::int64_t number = 0;
  if (text.size() != kPaddedDigits) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

}  // namespace muster::redis
