#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"

namespace muster {

// A caller's key is shown once, when it is made:
//
//   mk_ 8 characters id, 32 characters secret, 6 characters checksum     all base62 (0-9 A-Z a-z), 49 characters
//   together
//
// The id is public and names the key in lists. The secret has 190 bits. The checksum is the CRC-32 of id and secret: a
// mistyped or truncated key is told from an unknown one without a look-up, and scanners find leaked keys without
// asking. It detects every change of one character and every exchange of two within id and secret.
inline constexpr std::string_view kCallerKeyPrefix = "mk_";
inline constexpr std::size_t kCallerKeyIdSize = 8;
inline constexpr std::size_t kCallerKeySecretSize = 32;
inline constexpr std::size_t kCallerKeyChecksumSize = 6;
inline constexpr std::size_t kCallerKeySize =
    kCallerKeyPrefix.size() + kCallerKeyIdSize + kCallerKeySecretSize + kCallerKeyChecksumSize;

// Views into the key's text.
struct CallerKeyParts {
  std::string_view id;
  std::string_view secret;
};

// A fresh key's text. `random` must be cryptographic.
std::string MakeCallerKey(Random& random);

// Empty unless `text` has the form above and its checksum is right.
std::optional<CallerKeyParts> ParseCallerKey(std::string_view text);

}  // namespace muster
