#pragma once

#include <cstdint>
#include <string>

#include "domain/member.h"

// Members and identities that tests are about.
namespace muster::testing {

// Of a default kind, with a plausible value and a key made from a number; keys of different numbers differ.
inline Identity MakeIdentity(std::uint64_t number, const std::string& kind = "account",
                             const std::string& platform = "shop") {
  Identity identity;
  identity.kind = kind;
  identity.platform = platform;
  identity.value = Pii("value-" + std::to_string(number));
  for (std::size_t i = 0; i < 8; ++i) {
    identity.key.bytes[i] = static_cast<std::uint8_t>(Mix64(number) >> (8 * i));
    identity.key.bytes[8 + i] = static_cast<std::uint8_t>(Mix64(~number) >> (8 * i));
  }
  return identity;
}

}  // namespace muster::testing
