#include "search/index_terms.h"

#include <algorithm>
#include <charconv>

#include "base/random.h"

namespace muster {
namespace {

// Kinds of terms. Their numbers are in the file.
enum class TermKind : std::uint8_t {
  kCity = 1,
  kTier = 2,
  kCityAndTier = 3,
  kDisplayName = 4,
  kTag = 5,
  kAttribute = 6,
  kIdentityKind = 7,
  kIdentityPlatform = 8,
  kMergedInto = 9,
  kState = 10,
};

// FNV-1a over the parts with their sizes, mixed. For telling values apart, not for keeping them secret.
std::int64_t Hash(TermKind kind, std::string_view first, std::string_view second = {}) {
  constexpr std::uint64_t kPrime = 0x100000001b3;
  std::uint64_t hash = 0xcbf29ce484222325 ^ static_cast<std::uint64_t>(kind);
  const auto add = [&](unsigned char byte) { hash = (hash ^ byte) * kPrime; };
  for (const std::string_view part : {first, second}) {
    for (const char c : part) add(static_cast<unsigned char>(c));
    add(static_cast<unsigned char>(part.size()));
    add(static_cast<unsigned char>(part.size() >> 8));
  }
  return static_cast<std::int64_t>(Mix64(hash));
}

std::int64_t HashNumber(TermKind kind, std::int64_t number) { return Hash(kind, std::to_string(number)); }

}  // namespace

std::int64_t TermOfCityAndTier(std::string_view city, std::string_view tier) {
  return Hash(TermKind::kCityAndTier, city, tier);
}

std::vector<std::int64_t> TermsOf(const SearchDocument& document) {
  std::vector<std::int64_t> terms;
  terms.reserve(8 + document.tags.size() + document.attributes.size() + 2 * document.identities.size());
  const auto add_text = [&](TermKind kind, std::string_view text) {
    if (!text.empty()) terms.push_back(Hash(kind, text));
  };
  add_text(TermKind::kCity, document.city);
  add_text(TermKind::kTier, document.tier);
  if (!document.city.empty() && !document.tier.empty())
    terms.push_back(TermOfCityAndTier(document.city, document.tier));
  add_text(TermKind::kDisplayName, document.display_name);
  for (const std::string& tag : document.tags) add_text(TermKind::kTag, tag);
  for (const auto& [name, value] : document.attributes) terms.push_back(Hash(TermKind::kAttribute, name, value));
  for (const auto& [kind, platform] : document.identities) {
    add_text(TermKind::kIdentityKind, kind);
    add_text(TermKind::kIdentityPlatform, platform);
  }
  if (document.merged_into.value() != 0) {
    terms.push_back(HashNumber(TermKind::kMergedInto, document.merged_into.value()));
  }
  if (document.state != MemberState::kActive) {
    terms.push_back(HashNumber(TermKind::kState, static_cast<std::int64_t>(document.state)));
  }
  std::ranges::sort(terms);
  const auto repeated = std::ranges::unique(terms);
  terms.erase(repeated.begin(), repeated.end());
  return terms;
}

std::optional<std::int64_t> TermOf(const SearchTest& test) {
  if (test.op != SearchOperator::kEqual) return std::nullopt;
  const auto text = [&](TermKind kind) -> std::optional<std::int64_t> {
    if (test.text.empty()) return std::nullopt;
    return Hash(kind, test.text);
  };
  switch (test.field) {
    case SearchField::kCity:
      return text(TermKind::kCity);
    case SearchField::kTier:
      return text(TermKind::kTier);
    case SearchField::kDisplayName:
      return text(TermKind::kDisplayName);
    case SearchField::kTags:
      return text(TermKind::kTag);
    case SearchField::kAttributes:
      return Hash(TermKind::kAttribute, test.name, test.text);
    case SearchField::kIdentityKind:
      return text(TermKind::kIdentityKind);
    case SearchField::kIdentityPlatform:
      return text(TermKind::kIdentityPlatform);
    case SearchField::kMergedInto:
      return test.number == 0 ? std::nullopt : std::optional(HashNumber(TermKind::kMergedInto, test.number));
    case SearchField::kState:
      if (test.number == static_cast<std::int64_t>(MemberState::kActive)) return std::nullopt;
      return HashNumber(TermKind::kState, test.number);
    default:
      return std::nullopt;
  }
}

}  // namespace muster
