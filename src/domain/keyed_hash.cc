#include <algorithm>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "domain/hmac_sha256.h"
#include "domain/keyring.h"

namespace muster {

struct KeyedHash::State {
  explicit State(const SecretKey& key) : hmac(key) {}
  HmacSha256 hmac;
};

KeyedHash::KeyedHash(const SecretKey& key) : state_(std::make_unique<State>(key)) {}
KeyedHash::~KeyedHash() = default;
KeyedHash::KeyedHash(KeyedHash&&) noexcept = default;

std::array<std::uint8_t, 32> KeyedHash::Hash(std::span<const std::string_view> parts) {
  MUSTER_CHECK(parts.size() <= kPartsMax);
  std::array<std::array<char, 4>, kPartsMax> lengths;
  std::array<std::string_view, 2 * kPartsMax> prefixed;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto size = static_cast<std::uint32_t>(parts[i].size());
    MUSTER_CHECK(size == parts[i].size());
    lengths[i] = {static_cast<char>(size >> 24), static_cast<char>(size >> 16), static_cast<char>(size >> 8),
                  static_cast<char>(size)};
    prefixed[2 * i] = std::string_view(lengths[i].data(), lengths[i].size());
    prefixed[2 * i + 1] = parts[i];
  }
  return state_->hmac.Hash(std::span(prefixed).first(2 * parts.size()));
}

IdentityKey KeyedHash::KeyOf(std::string_view kind, std::string_view platform, std::string_view normalised_value) {
  const std::array<std::string_view, 3> parts = {kind, platform, normalised_value};
  const std::array<std::uint8_t, 32> digest = Hash(parts);
  IdentityKey key;
  std::copy_n(digest.begin(), key.bytes.size(), key.bytes.begin());
  return key;
}

}  // namespace muster
