#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "domain/search_fields.h"

namespace muster {

// In which order members are answered: one that an index has, by a field and then by the id, so that no two members are
// at the same place.
struct SearchOrder {
  // kId, kCreateTime, kUpdateTime or kBirthDate, which has those without a day before all others.
  SearchField field = SearchField::kId;
  // Of a time or a day the ids go the other way, as in its index.
  bool descending = false;

  friend bool operator==(const SearchOrder&, const SearchOrder&) = default;
};

// AIP-132: "updateTime desc", "updateTime desc, id", "createTime, id desc"; blank: by id. INVALID_ARGUMENT for
// "orderBy": a field that has no order, an order of ids that the index does not have.
Result<SearchOrder> ParseSearchOrder(std::string_view text);
// The one spelling, which ParseSearchOrder reads.
std::string PrintSearchOrder(const SearchOrder& order);

// A member's place in an order: the field's number and the id.
struct SearchKey {
  std::int64_t value = 0;
  MemberId id;
  friend bool operator==(const SearchKey&, const SearchKey&) = default;
};
std::int64_t SearchValueOf(SearchField field, const SearchDocument& document);
// Whether `a` comes before `b`.
bool ComesBefore(const SearchOrder& order, const SearchKey& a, const SearchKey& b);

}  // namespace muster
