#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "domain/search_filter.h"

namespace muster {

// What the index finds members by: the hash of a field and a value that a member has. Two values may have one hash, so
// a posting is a hint, and the member's document decides.

// The terms of a member: city, tier and both together, displayName, each tag, attribute, kind and platform, mergedInto,
// and a state other than ACTIVE, which nearly all have. Sorted, each once. Never changes without kIndexVersion.
std::vector<std::int64_t> TermsOf(const SearchDocument& document);

// The term that all members have that pass the test; nullopt when the index has none for it.
std::optional<std::int64_t> TermOf(const SearchTest& test);
// Of both tests together, one of a city and one of a tier.
std::int64_t TermOfCityAndTier(std::string_view city, std::string_view tier);

}  // namespace muster
