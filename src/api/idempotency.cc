#include "api/idempotency.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "api/http_text.h"

namespace muster {
namespace {

constexpr std::string_view kHeader = "Idempotency-Key";

using Digest = std::array<std::uint8_t, 32>;

RequestHash Shorten(const Digest& digest) {
  RequestHash hash;
  std::memcpy(hash.bytes.data(), digest.data(), hash.bytes.size());
  return hash;
}

// RFC 8941 section 3.3.3, without the quotes around; false when it is no string.
bool Unquote(std::string_view text, std::string& out) {
  if (text.size() < 2 || text.back() != '"') return false;
  text = text.substr(1, text.size() - 2);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') return false;
    if (text[i] == '\\') {
      ++i;
      if (i == text.size() || (text[i] != '"' && text[i] != '\\')) return false;
    }
    out.push_back(text[i]);
  }
  return true;
}

}  // namespace

Result<std::string_view> ParseIdempotencyKey(std::span<const HttpHeader> headers, std::string& unescaped) {
  std::size_t count = 0;
  std::string_view value;
  for (const HttpHeader& header : headers) {
    if (EqualsIgnoringCase(header.name, kHeader) && count++ == 0) value = header.value;
  }
  return ParseIdempotencyKey(count, value, unescaped);
}

Result<std::string_view> ParseIdempotencyKey(std::size_t count, std::string_view value, std::string& unescaped) {
  if (count == 0) return std::string_view();
  if (count > 1) return FailField(std::string(kHeader), "is there twice: send one");
  std::string_view key = value;
  if (key.starts_with('"')) {
    unescaped.clear();
    if (!Unquote(key, unescaped)) return FailField(std::string(kHeader), "is not a quoted string (RFC 8941)");
    key = unescaped;
  }
  const bool is_visible = std::ranges::all_of(key, [](char c) { return c > 0x20 && c < 0x7F; });
  if (key.empty() || key.size() > kIdempotencyKeyMax || !is_visible) {
    return FailField(std::string(kHeader), "must be 1 to " + std::to_string(kIdempotencyKeyMax) +
                                               " visible ASCII characters: a random UUID is right");
  }
  return key;
}

Idempotency IdempotencyOf(KeyedHash& hash, std::string_view caller, std::string_view key,
                          std::span<const std::string_view> content) {
  const std::string_view name[] = {"muster.idempotency.key", caller, key};
  const std::string_view owner[] = {"muster.idempotency.owner", caller};
  std::vector<std::string_view> parts = {"muster.idempotency.content"};
  parts.insert(parts.end(), content.begin(), content.end());
  RequestHash of_key = Shorten(hash.Hash(name));
  const Digest of_owner = hash.Hash(owner);
  std::memcpy(of_key.bytes.data(), of_owner.data(), kAnswerOwnerBytes);
  return {.key = of_key, .fingerprint = Shorten(hash.Hash(parts))};
}

Result<void> KeysUnderWay::Enter(const RequestHash& key) {
  std::lock_guard lock(mutex_);
  if (keys_.insert(key).second) return {};
  Error error{.reason = Reason::kIdempotencyInProgress,
              .message = "a request with this Idempotency-Key is under way; ask again after it for its answer"};
  error.retry_after_ms = 1000;
  return Fail(std::move(error));
}

void KeysUnderWay::Leave(const RequestHash& key) {
  std::lock_guard lock(mutex_);
  keys_.erase(key);
}

}  // namespace muster
