#include "api/page_token.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/encoding.h"

namespace muster {

namespace {

constexpr std::size_t kSignatureBytes = 16;

// The token before base64url. Numbers are big-endian.
struct Layout {
  static constexpr std::size_t kVersionAt = 0;
  static constexpr std::size_t kExpiryAt = 8;
  static constexpr std::size_t kSignatureAt = 16;
  static constexpr std::size_t kSize = kSignatureAt + kSignatureBytes;
};
using Bytes = std::array<std::uint8_t, Layout::kSize>;

void PutNumber(std::uint64_t number, std::uint8_t* out) {
  for (int i = 7; i >= 0; --i, number >>= 8) out[i] = static_cast<std::uint8_t>(number);
}

std::uint64_t GetNumber(const std::uint8_t* in) {
  std::uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8 | in[i];
  return number;
}

std::string_view AsText(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

std::array<std::uint8_t, 32> Sign(KeyedHash& hash, std::string_view caller, MemberId member, const Bytes& token) {
  std::array<std::uint8_t, 8> id;
  PutNumber(static_cast<std::uint64_t>(member.value()), id.data());
  // The first part keeps these signatures apart from every other use of the key.
  const std::array<std::string_view, 4> parts = {"page-token/history", caller, AsText(id.data(), id.size()),
                                                 AsText(token.data(), Layout::kSignatureAt)};
  return hash.Hash(parts);
}

bool EqualInConstantTime(const std::uint8_t* a, const std::uint8_t* b, std::size_t size) {
  std::uint8_t difference = 0;
  for (std::size_t i = 0; i < size; ++i) difference = static_cast<std::uint8_t>(difference | (a[i] ^ b[i]));
  return difference == 0;
}

}  // namespace

std::string MakePageToken(KeyedHash& hash, std::string_view caller, MemberId member, Version before, Timestamp now) {
  Bytes token{};
  PutNumber(static_cast<std::uint64_t>(before.value()), token.data() + Layout::kVersionAt);
  const Timestamp expiry = now + kPageTokenLifetime;
  PutNumber(static_cast<std::uint64_t>(expiry.time_since_epoch().count()), token.data() + Layout::kExpiryAt);
  const auto signature = Sign(hash, caller, member, token);
  std::memcpy(token.data() + Layout::kSignatureAt, signature.data(), kSignatureBytes);
  return ToBase64Url(token);
}

Result<Version> ReadPageToken(KeyedHash& hash, std::string_view caller, MemberId member, std::string_view token,
                              Timestamp now) {
  constexpr std::string_view kRefusal = "is not a token that this list gave you; begin again without one";
  constexpr std::size_t kTextSize = (Layout::kSize * 4 + 2) / 3;
  if (token.size() != kTextSize) return FailField("pageToken", std::string(kRefusal));
  const auto decoded = FromBase64Url(token);
  if (!decoded || decoded->size() != Layout::kSize) return FailField("pageToken", std::string(kRefusal));
  Bytes bytes;
  std::memcpy(bytes.data(), decoded->data(), bytes.size());
  const auto signature = Sign(hash, caller, member, bytes);
  if (!EqualInConstantTime(signature.data(), bytes.data() + Layout::kSignatureAt, kSignatureBytes)) {
    return FailField("pageToken", std::string(kRefusal));
  }
  const auto expiry = static_cast<std::int64_t>(GetNumber(bytes.data() + Layout::kExpiryAt));
  if (now.time_since_epoch().count() >= expiry) {
    return FailField("pageToken", "has expired; begin again without one");
  }
  return Version(static_cast<std::int64_t>(GetNumber(bytes.data() + Layout::kVersionAt)));
}

}  // namespace muster
