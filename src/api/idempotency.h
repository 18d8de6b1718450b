#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "api/http.h"
#include "base/result.h"
#include "domain/keyring.h"
#include "domain/ports/member_writer.h"

namespace muster {

// Characters of an Idempotency-Key, at most.
inline constexpr std::size_t kIdempotencyKeyMax = 128;

// The Idempotency-Key of a request as its caller meant it: a quoted string (RFC 8941) without its quotes, or the bare
// characters. Empty without the header. INVALID_ARGUMENT: repeated, empty, too long, or not visible ASCII.
Result<std::string_view> ParseIdempotencyKey(std::span<const HttpHeader> headers, std::string& unescaped);
// The same of a header that is there `count` times, with its first value.
Result<std::string_view> ParseIdempotencyKey(std::size_t count, std::string_view value, std::string& unescaped);

// What tells a request from others: `caller` and `key`, and every part of what it asks for.
Idempotency IdempotencyOf(KeyedHash& hash, std::string_view caller, std::string_view key,
                          std::span<const std::string_view> content);

// The keys of requests that are under way in this process, over all loops; thread-safe. As large as there are calls.
class KeysUnderWay {
 public:
  // IDEMPOTENCY_IN_PROGRESS when it is there already.
  Result<void> Enter(const RequestHash& key);
  void Leave(const RequestHash& key);

 private:
  std::mutex mutex_;
  std::set<RequestHash> keys_;
};

}  // namespace muster
