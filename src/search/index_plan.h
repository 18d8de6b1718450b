#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "domain/search_filter.h"
#include "domain/search_order.h"

namespace muster {

// Members that have a term, or all or any of several: a part of a filter that the index answers from its postings.
struct TermSource {
  enum class Kind : std::uint8_t { kTerm, kAll, kAny };
  Kind kind = Kind::kTerm;
  std::int64_t term = 0;
  std::vector<TermSource> children = {};
};

// How a query is answered. Every member that matches is in `source`, if there is one, and in [min, max] by the order's
// field; the filter decides about those that are.
struct IndexPlan {
  std::optional<TermSource> source;
  bool source_decides = false;  // the filter says no more than the source and the range
  std::int64_t min = INT64_MIN;
  std::int64_t max = INT64_MAX;
};

// INVALID_ARGUMENT for "filter" when neither a term nor a range of the order's field narrows the members down, with
// what to add.
Result<IndexPlan> MakeIndexPlan(const Filter& filter, const SearchOrder& order);

}  // namespace muster
