#include "api/page_token.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/encoding.h"

namespace muster {

namespace {

constexpr std::size_t kNumberBytes = 8;
constexpr std::size_t kSignatureBytes = 16;

// What a token is good for, beside the numbers that it carries. The first part keeps the signatures of one list apart
// from those of others and from every other use of the key.
using Bound = std::span<const std::string_view>;

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

std::array<std::uint8_t, 32> Sign(KeyedHash& hash, Bound bound, std::span<const std::uint8_t> signed_bytes) {
  std::vector<std::string_view> parts(bound.begin(), bound.end());
  parts.push_back(AsText(signed_bytes.data(), signed_bytes.size()));
  return hash.Hash(parts);
}

bool EqualInConstantTime(const std::uint8_t* a, const std::uint8_t* b, std::size_t size) {
  std::uint8_t difference = 0;
  for (std::size_t i = 0; i < size; ++i) difference = static_cast<std::uint8_t>(difference | (a[i] ^ b[i]));
  return difference == 0;
}

// The token before base64url: the numbers, the expiry, the signature over both. Numbers are big-endian.
std::string Seal(KeyedHash& hash, Bound bound, std::span<const std::int64_t> numbers, Timestamp now) {
  std::vector<std::uint8_t> token((numbers.size() + 1) * kNumberBytes);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    PutNumber(static_cast<std::uint64_t>(numbers[i]), token.data() + i * kNumberBytes);
  }
  const Timestamp expiry = now + kPageTokenLifetime;
  PutNumber(static_cast<std::uint64_t>(expiry.time_since_epoch().count()),
            token.data() + numbers.size() * kNumberBytes);
  const auto signature = Sign(hash, bound, token);
  token.insert(token.end(), signature.begin(), signature.begin() + kSignatureBytes);
  return ToBase64Url(token);
}

Result<void> Open(KeyedHash& hash, Bound bound, std::string_view token, std::span<std::int64_t> numbers,
                  Timestamp now) {
  constexpr std::string_view kRefusal =
      "is not a token that this list gave you, or the request has changed; begin again without one";
  const std::size_t signed_size = (numbers.size() + 1) * kNumberBytes;
  const std::size_t size = signed_size + kSignatureBytes;
  if (token.size() != (size * 4 + 2) / 3) return FailField("pageToken", std::string(kRefusal));
  const auto bytes = FromBase64Url(token);
  if (!bytes || bytes->size() != size) return FailField("pageToken", std::string(kRefusal));
  const auto signature = Sign(hash, bound, std::span(*bytes).first(signed_size));
  if (!EqualInConstantTime(signature.data(), bytes->data() + signed_size, kSignatureBytes)) {
    return FailField("pageToken", std::string(kRefusal));
  }
  const auto expiry = static_cast<std::int64_t>(GetNumber(bytes->data() + signed_size - kNumberBytes));
  if (now.time_since_epoch().count() >= expiry) {
    return FailField("pageToken", "has expired; begin again without one");
  }
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = static_cast<std::int64_t>(GetNumber(bytes->data() + i * kNumberBytes));
  }
  return {};
}

// What binds the token of a history.
class HistoryBound {
 public:
  HistoryBound(std::string_view caller, MemberId member) {
    PutNumber(static_cast<std::uint64_t>(member.value()), id_.data());
    parts_ = {"page-token/history", caller, AsText(id_.data(), id_.size())};
  }
  HistoryBound(const HistoryBound&) = delete;
  Bound parts() const { return parts_; }

 private:
  std::array<std::uint8_t, kNumberBytes> id_;
  std::array<std::string_view, 3> parts_;
};

std::array<std::string_view, 4> SearchBound(std::string_view caller, const SearchQueryText& query) {
  return {"page-token/search", caller, query.filter, query.order};
}

}  // namespace

std::string MakePageToken(KeyedHash& hash, std::string_view caller, MemberId member, Version before, Timestamp now) {
  return Seal(hash, HistoryBound(caller, member).parts(), std::array{before.value()}, now);
}

Result<Version> ReadPageToken(KeyedHash& hash, std::string_view caller, MemberId member, std::string_view token,
                              Timestamp now) {
  std::array<std::int64_t, 1> numbers{};
  MUSTER_TRY(Open(hash, HistoryBound(caller, member).parts(), token, numbers, now));
  return Version(numbers[0]);
}

std::string MakeSearchToken(KeyedHash& hash, std::string_view caller, const SearchQueryText& query,
                            const SearchKey& after, Timestamp now) {
  return Seal(hash, SearchBound(caller, query), std::array{after.value, after.id.value()}, now);
}

Result<SearchKey> ReadSearchToken(KeyedHash& hash, std::string_view caller, const SearchQueryText& query,
                                  std::string_view token, Timestamp now) {
  std::array<std::int64_t, 2> numbers{};
  MUSTER_TRY(Open(hash, SearchBound(caller, query), token, numbers, now));
  return SearchKey{numbers[0], MemberId(numbers[1])};
}

}  // namespace muster
