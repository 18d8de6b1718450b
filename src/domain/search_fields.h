#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "domain/ids.h"
#include "domain/member.h"

namespace muster {

// What members can be searched by: the schema of filters (search_filter.h) and orders (search_order.h). Nothing
// personal is in it.
enum class SearchField : std::uint8_t {
  kId,
  kState,
  kDisplayName,
  kGender,
  kBirthDate,
  kCity,
  kTier,
  kTags,
  kAttributes,
  kIdentityKind,
  kIdentityPlatform,
  kVersion,
  kCreateTime,
  kUpdateTime,
  kMergedInto,
};

enum class SearchType : std::uint8_t {
  kText,    // = and != a text; :* is set
  kList,    // : one of its elements
  kMap,     // attributes.name = and != a text; attributes.name:* is set
  kState,   // = and != a name
  kGender,  // the same
  kNumber,  // all comparisons with a whole number
  kDate,    // with a day: 1990-05-17
  kTime,    // with a time as in RFC 3339
};

struct SearchFieldRow {
  SearchField field;
  std::string_view name;  // as in the API
  SearchType type;
};
// In the order of the enumeration.
std::span<const SearchFieldRow> SearchFields();
const SearchFieldRow& Describe(SearchField field);
// Of a name as in the API ("city", "identities.kind", "attributes" for all of them). INVALID_ARGUMENT, without a place:
// a name that is not known, with the nearest that is; one that is personal, with what to do instead.
Result<SearchField> SearchFieldOf(std::string_view name);

// A day as the number yyyymmdd, whose order is that of days; 0 for no day.
std::int64_t DayNumber(std::string_view birth_date);
std::string DayText(std::int64_t day);

// What a search knows of a member.
struct SearchDocument {
  MemberId id = {};
  Version version = {};
  MemberState state = MemberState::kActive;
  Gender gender = Gender::kUnspecified;
  std::int64_t birth_day = 0;  // DayNumber
  std::string display_name = {};
  std::string city = {};
  std::string tier = {};
  std::vector<std::string> tags = {};
  std::vector<std::pair<std::string, std::string>> attributes = {};  // in the order of their names
  std::vector<std::pair<std::string, std::string>> identities = {};  // kind and platform, each pair once
  Timestamp create_time{};
  Timestamp update_time{};
  MemberId merged_into = {};

  friend bool operator==(const SearchDocument&, const SearchDocument&) = default;
};
SearchDocument MakeSearchDocument(const Member& member);

}  // namespace muster
