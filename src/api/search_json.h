#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api/json_reader.h"
#include "base/result.h"
#include "domain/search_filter.h"

namespace muster {

// How many members a page of a search has at most, and when the caller does not say.
inline constexpr std::int64_t kSearchPageMax = 1000;
inline constexpr std::int64_t kSearchPageDefault = 50;

// The body of POST /v1/members:search.
struct SearchBody {
  std::string filter;
  std::string order_by;
  std::int64_t page_size = 0;  // 1 to kSearchPageMax
  std::string page_token;
};
// The size of a page when `asked` for; zero: kSearchPageDefault. A larger one is taken for the largest.
std::int64_t SearchPageSize(std::int64_t asked);
// INVALID_ARGUMENT with a violation for each fault, as MemberJson.
Result<SearchBody> ReadSearchBody(JsonReader& reader, std::string_view json);

// The fields that a filter looks at, a bit each.
using SearchFields32 = std::uint32_t;
SearchFields32 FieldsOf(const Filter& filter);

// Of a member's JSON, as it is answered, those fields. It is read as far as they may stand in it. INTERNAL: it is none.
Result<SearchDocument> ReadSearchDocument(JsonReader& reader, std::string_view json, SearchFields32 fields);

}  // namespace muster
