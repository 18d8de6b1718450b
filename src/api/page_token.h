#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "domain/ids.h"
#include "domain/keyring.h"
#include "domain/search_order.h"

namespace muster {

// How long a page token may be used.
inline constexpr Duration kPageTokenLifetime = std::chrono::hours(24);

// Where a list goes on, in a form that callers cannot make or change: the version to go on below and an expiry, signed
// (HMAC-SHA-256, 128 bits) together with whose token it is and which member's history it walks. 43 characters of
// base64url.
std::string MakePageToken(KeyedHash& hash, std::string_view caller, MemberId member, Version before, Timestamp now);

// INVALID_ARGUMENT for "pageToken": malformed, changed, another caller's or member's, expired.
Result<Version> ReadPageToken(KeyedHash& hash, std::string_view caller, MemberId member, std::string_view token,
                              Timestamp now);

// The same of a search: the place to go on behind, bound to the filter and the order in their one spelling. 54
// characters.
struct SearchQueryText {
  std::string filter;
  std::string order;
};
std::string MakeSearchToken(KeyedHash& hash, std::string_view caller, const SearchQueryText& query,
                            const SearchKey& after, Timestamp now);
Result<SearchKey> ReadSearchToken(KeyedHash& hash, std::string_view caller, const SearchQueryText& query,
                                  std::string_view token, Timestamp now);

}  // namespace muster
