#include "domain/identity_catalog.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "domain/normalise.h"

namespace muster {

namespace {

constexpr std::size_t kKindBytesMax = 32;
constexpr int kMembersLimitMax = 100;
constexpr std::size_t kKindsMax = 64;
constexpr std::string_view kWordRule =
    "must be a lower-case word: a letter, then up to 31 letters, digits and underscores";

bool IsWord(std::string_view word) {
  const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
  if (word.empty() || word.size() > kKindBytesMax || !is_lower(word[0])) return false;
  return std::ranges::all_of(word, [&](char c) { return is_lower(c) || (c >= '0' && c <= '9') || c == '_'; });
}

std::string Join(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : std::string(path) + "." + std::string(name);
}

// "phone, email, document": configured names, which are not personal.
template <typename Range, typename NameOf>
std::string ListOf(const Range& range, NameOf name_of) {
  std::string list;
  for (const auto& item : range) list.append(list.empty() ? "" : ", ").append(name_of(item));
  return list;
}

std::vector<IdentityKind> DefaultKinds() {
  using enum UniquenessScope;
  return {
      {.name = "phone", .scope = kGlobal, .members_limit = 3, .normaliser = Normaliser::kPhone},
      {.name = "email", .scope = kGlobal, .members_limit = 5, .normaliser = Normaliser::kEmail},
      {.name = "unionid",
       .scope = kPlatform,
       .members_limit = 1,
       .limit_per_platform = true,
       .normaliser = Normaliser::kOpaque},
      {.name = "openid", .scope = kPlatform, .members_limit = 10, .normaliser = Normaliser::kOpaque},
      {.name = "card", .scope = kPlatform, .members_limit = 10, .normaliser = Normaliser::kCard},
      {.name = "account", .scope = kPlatform, .members_limit = 10, .normaliser = Normaliser::kAccount},
      {.name = "document", .scope = kGlobal, .members_limit = 10, .normaliser = Normaliser::kDocument},
  };
}

}  // namespace

IdentityCatalog IdentityCatalog::Default() {
  Result<IdentityCatalog> catalog = Make(DefaultKinds(), {}, "CN");
  MUSTER_CHECK(catalog.has_value());
  return *std::move(catalog);
}

Result<IdentityCatalog> IdentityCatalog::Make(std::vector<IdentityKind> kinds, std::vector<std::string> platforms,
                                              std::string default_region) {
  if (kinds.empty() || kinds.size() > kKindsMax) return FailField("kinds", "must be 1 to 64 kinds of identity");
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const IdentityKind& kind = kinds[i];
    if (!IsWord(kind.name)) return FailField(Indexed("kinds", i) + ".name", std::string(kWordRule));
    const auto has_name = [&](const IdentityKind& other) { return other.name == kind.name; };
    if (std::any_of(kinds.begin(), kinds.begin() + static_cast<std::ptrdiff_t>(i), has_name)) {
      return FailField(Indexed("kinds", i) + ".name", "\"" + kind.name + "\" is declared twice: name each kind once");
    }
    if (kind.members_limit < 0 || kind.members_limit > kMembersLimitMax) {
      return FailField(Indexed("kinds", i) + ".limit", "must be 0 to 100");
    }
    if (kind.limit_per_platform && kind.scope != UniquenessScope::kPlatform) {
      return FailField(Indexed("kinds", i) + ".limit",
                       "can count by platform only when the kind is scoped by platform");
    }
  }
  for (std::size_t i = 0; i < platforms.size(); ++i) {
    if (!IsWord(platforms[i])) return FailField(Indexed("platforms", i), std::string(kWordRule));
  }
  std::ranges::sort(platforms);
  if (const auto twice = std::ranges::adjacent_find(platforms); twice != platforms.end()) {
    return FailField("platforms", "\"" + *twice + "\" is declared twice: name each platform once");
  }
  if (!IsPhoneRegion(default_region)) {
    return FailField("default_region", "must be an ISO 3166 code of a country in capitals, such as CN");
  }
  IdentityCatalog catalog;
  catalog.kinds_ = std::move(kinds);
  catalog.platforms_ = std::move(platforms);
  catalog.default_region_ = std::move(default_region);
  return catalog;
}

const IdentityKind* IdentityCatalog::Find(std::string_view kind) const {
  const auto found = std::ranges::find(kinds_, kind, &IdentityKind::name);
  return found == kinds_.end() ? nullptr : &*found;
}

Result<std::string> IdentityCatalog::Normalise(std::string_view kind, std::string_view platform, std::string_view value,
                                               std::string_view field) const {
  const IdentityKind* known = Find(kind);
  if (known == nullptr) {
    return FailField(Join(field, "kind"),
                     "must be one of: " + ListOf(kinds_, [](const IdentityKind& each) { return each.name; }));
  }
  if (known->scope == UniquenessScope::kGlobal) {
    if (!platform.empty())
      return FailField(Join(field, "platform"), "must be absent: " + known->name + " is the same on all platforms");
  } else if (!IsWord(platform)) {
    return FailField(Join(field, "platform"), std::string(kWordRule) + "; " + known->name + " is scoped by platform");
  }
  Normalised normalised = NormaliseValue(known->normaliser, value, default_region_);
  if (!normalised) return FailField(Join(field, "value"), std::string(normalised.error()));
  return *std::move(normalised);
}

Result<void> IdentityCatalog::CheckPlatform(std::string_view platform, std::string_view field) const {
  if (platforms_.empty() || std::ranges::binary_search(platforms_, platform)) return {};
  return FailField(std::string(field),
                   "must be one of: " + ListOf(platforms_, [](const std::string& each) { return each; }));
}

}  // namespace muster
