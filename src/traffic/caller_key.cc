#include "traffic/caller_key.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace muster {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

// CRC-32 as in ISO 3309 and zlib, reflected, polynomial 0xEDB88320.
constexpr std::array<std::uint32_t, 256> kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t word = i;
    for (int bit = 0; bit < 8; ++bit) word = (word >> 1) ^ ((word & 1) != 0 ? 0xEDB88320U : 0U);
    table[i] = word;
  }
  return table;
}();

constexpr std::uint32_t Crc32(std::string_view text) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char c : text) crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<std::uint8_t>(c)) & 0xFF];
  return ~crc;
}
static_assert(Crc32("123456789") == 0xCBF43926U);  // the check value of the CRC catalogue

std::array<char, kCallerKeyChecksumSize> Checksum(std::string_view text) {
  std::array<char, kCallerKeyChecksumSize> digits{};
  std::uint32_t rest = Crc32(text);
  for (std::size_t i = digits.size(); i-- > 0; rest /= kDigits.size()) digits[i] = kDigits[rest % kDigits.size()];
  return digits;
}

}  // namespace

std::string MakeCallerKey(Random& random) {
  std::string text(kCallerKeyPrefix);
  for (std::size_t i = 0; i < kCallerKeyIdSize + kCallerKeySecretSize; ++i)
    text += kDigits[random.Below(kDigits.size())];
  const auto checksum = Checksum(std::string_view(text).substr(kCallerKeyPrefix.size()));
  text.append(checksum.data(), checksum.size());
  return text;
}

std::optional<CallerKeyParts> ParseCallerKey(std::string_view text) {
  if (text.size() != kCallerKeySize || !text.starts_with(kCallerKeyPrefix)) return std::nullopt;
  const std::string_view body = text.substr(kCallerKeyPrefix.size(), kCallerKeyIdSize + kCallerKeySecretSize);
  const std::string_view checksum = text.substr(kCallerKeyPrefix.size() + body.size());
  if (body.find_first_not_of(kDigits) != std::string_view::npos) return std::nullopt;
  const auto expected = Checksum(body);
  if (!std::equal(expected.begin(), expected.end(), checksum.begin())) return std::nullopt;
  return CallerKeyParts{.id = body.substr(0, kCallerKeyIdSize), .secret = body.substr(kCallerKeyIdSize)};
}

}  // namespace muster
