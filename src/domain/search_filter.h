#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/search_fields.h"

namespace muster {

// Bounds of a filter's text, which a longer one is refused for.
inline constexpr std::size_t kFilterBytesMax = 4096;
inline constexpr std::size_t kFilterTermsMax = 256;
inline constexpr std::size_t kFilterDepthMax = 32;

enum class SearchOperator : std::uint8_t {
  kEqual,     // of a list: has this element
  kNotEqual,  // the contrary, also where there is no value
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kPresent,
};

// One comparison of a field with a value that fits the field's type. Orders are false where there is no value.
struct SearchTest {
  SearchField field = SearchField::kId;
  std::string name = {};  // of an attribute
  SearchOperator op = SearchOperator::kEqual;
  std::string text = {};    // of kText, kList, kMap
  std::int64_t number = 0;  // of all others: the number, day, microseconds since 1970, MemberState or Gender

  friend bool operator==(const SearchTest&, const SearchTest&) = default;
};

// Which members are meant. kAnd and kOr have two children at least, none of their own kind; of a filter that was parsed
// the tree is no deeper than three times kFilterDepthMax, so that walks of it may recurse.
struct Filter {
  enum class Kind : std::uint8_t { kAll, kAnd, kOr, kNot, kTest };

  Kind kind = Kind::kAll;
  std::vector<Filter> children = {};
  SearchTest test = {};

  static Filter Of(SearchTest test);
  // Of any number of children; joins those of the same kind.
  static Filter And(std::vector<Filter> children);
  static Filter Or(std::vector<Filter> children);
  static Filter Not(Filter child);

  friend bool operator==(const Filter&, const Filter&) = default;
};

// Reads AIP-160 (https://google.aip.dev/160), restricted: comparisons of the fields of search_fields.h with literals,
// AND, OR (which binds tighter), NOT or "-", parentheses, and AND where nothing stands between two. Text is in double
// quotes with \" and \\, or a bare word. No functions, no wildcards except field:* for "is set". Blank text: all.
//
// INVALID_ARGUMENT for "filter", which begins with the place ("column 8: …", counted in characters from 1), says what
// would be right, and repeats no value.
Result<Filter> ParseFilter(std::string_view text);

// The one spelling of a filter, which ParseFilter reads as the same filter.
std::string PrintFilter(const Filter& filter);

bool Matches(const Filter& filter, const SearchDocument& document);

}  // namespace muster
