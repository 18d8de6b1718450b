#include <cstddef>
#include <cstdint>
#include <string_view>

#include "api/page_token.h"
#include "base/check.h"
#include "base/random.h"

// Any page token, and any change of a real one: the first byte says which of its characters, the others what they
// become. Only what MakePageToken gave is ever accepted, and it means what it meant.

namespace muster {
namespace {

constexpr Timestamp kNow(std::chrono::seconds(1'800'000'000));
constexpr MemberId kMember(7);
constexpr Version kBefore(5);

void Read(KeyedHash& hash, std::string_view token) {
  static const std::string kReal = MakePageToken(hash, "orders", kMember, kBefore, kNow);
  const auto read = ReadPageToken(hash, "orders", kMember, token, kNow);
  if (!read) {
    MUSTER_CHECK(read.error().reason == Reason::kInvalidArgument);
    MUSTER_CHECK(token != kReal);
    return;
  }
  MUSTER_CHECK(*read == kBefore);
  // The last character has two bits that carry nothing.
  MUSTER_CHECK(token.substr(0, kReal.size() - 1) == std::string_view(kReal).substr(0, kReal.size() - 1));
}

void ReadChanged(KeyedHash& hash, std::string_view changes) {
  std::string token = MakePageToken(hash, "orders", kMember, kBefore, kNow);
  for (std::size_t i = 0; i + 1 < changes.size(); i += 2) {
    token[static_cast<std::uint8_t>(changes[i]) % token.size()] = changes[i + 1];
  }
  Read(hash, token);
}

const SearchQueryText kQuery{"city = \"Suzhou\"", "id"};
constexpr SearchKey kAfter{5, MemberId(5)};

void ReadSearch(KeyedHash& hash, std::string_view token) {
  static const std::string kReal = MakeSearchToken(hash, "orders", kQuery, kAfter, kNow);
  const auto read = ReadSearchToken(hash, "orders", kQuery, token, kNow);
  if (!read) {
    MUSTER_CHECK(token != kReal);
    return;
  }
  // The last character has four bits that carry nothing.
  MUSTER_CHECK(*read == kAfter &&
               token.substr(0, kReal.size() - 1) == std::string_view(kReal).substr(0, kReal.size() - 1));
}

void ReadChangedSearch(KeyedHash& hash, std::string_view changes) {
  std::string token = MakeSearchToken(hash, "orders", kQuery, kAfter, kNow);
  for (std::size_t i = 0; i + 1 < changes.size(); i += 2) {
    token[static_cast<std::uint8_t>(changes[i]) % token.size()] = changes[i + 1];
  }
  ReadSearch(hash, token);
}

}  // namespace
}  // namespace muster

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static muster::SeededRandom random(1);
  static muster::KeyedHash hash(muster::Keyring::Generate(random).hash_key());
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  muster::Read(hash, text);
  muster::ReadChanged(hash, text);
  muster::ReadSearch(hash, text);
  muster::ReadChangedSearch(hash, text);
  return 0;
}
