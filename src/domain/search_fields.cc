#include "domain/search_fields.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/options.h"

namespace muster {
namespace {

constexpr std::array<SearchFieldRow, 15> kFields = {{
    {SearchField::kId, "id", SearchType::kNumber},
    {SearchField::kState, "state", SearchType::kState},
    {SearchField::kDisplayName, "displayName", SearchType::kText},
    {SearchField::kGender, "gender", SearchType::kGender},
    {SearchField::kBirthDate, "birthDate", SearchType::kDate},
    {SearchField::kCity, "city", SearchType::kText},
    {SearchField::kTier, "tier", SearchType::kText},
    {SearchField::kTags, "tags", SearchType::kList},
    {SearchField::kAttributes, "attributes", SearchType::kMap},
    {SearchField::kIdentityKind, "identities.kind", SearchType::kList},
    {SearchField::kIdentityPlatform, "identities.platform", SearchType::kList},
    {SearchField::kVersion, "version", SearchType::kNumber},
    {SearchField::kCreateTime, "createTime", SearchType::kTime},
    {SearchField::kUpdateTime, "updateTime", SearchType::kTime},
    {SearchField::kMergedInto, "mergedInto", SearchType::kNumber},
}};

// Only what looks like the name of a field is repeated: anything else may be a personal value in the wrong place.
bool LooksLikeName(std::string_view name) {
  constexpr std::size_t kShownMax = 40;
  return !name.empty() && name.size() <= kShownMax && !(name[0] >= '0' && name[0] <= '9') &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
         });
}

std::unexpected<Error> Unknown(std::string_view name) {
  std::vector<std::string> known;
  known.reserve(kFields.size());
  for (const SearchFieldRow& row : kFields) known.emplace_back(row.name);
  std::string text = LooksLikeName(name) ? std::string(name) : "this";
  text += " is no field that members are searched by; ";
  const std::string nearest = NearestWord(name, known);
  if (!nearest.empty()) return Fail(Reason::kInvalidArgument, text + "did you mean " + nearest + "?");
  text += "there are ";
  for (std::size_t i = 0; i < known.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == known.size() ? " and " : ", ") + known[i];
  }
  return Fail(Reason::kInvalidArgument, text);
}

}  // namespace

std::span<const SearchFieldRow> SearchFields() { return kFields; }

const SearchFieldRow& Describe(SearchField field) { return kFields[static_cast<std::size_t>(field)]; }

Result<SearchField> SearchFieldOf(std::string_view name) {
  for (const SearchFieldRow& row : kFields) {
    if (row.name == name) return row.field;
  }
  if (name == "realName") {
    return Fail(Reason::kInvalidArgument,
                "realName is personal and not searched; find a member by an identity with /v1/members:resolve");
  }
  if (name == "identities.value" || name == "identities") {
    return Fail(Reason::kInvalidArgument,
                "the values of identities are personal and not searched; find who holds one with /v1/members:resolve, "
                "or search by identities.kind and identities.platform");
  }
  return Unknown(name);
}

std::int64_t DayNumber(std::string_view birth_date) {
  constexpr std::size_t kSize = 10;  // "1990-05-17"
  if (birth_date.size() != kSize) return 0;
  std::int64_t number = 0;
  for (std::size_t i = 0; i < kSize; ++i) {
    if (i == 4 || i == 7) {
      if (birth_date[i] != '-') return 0;
      continue;
    }
    if (birth_date[i] < '0' || birth_date[i] > '9') return 0;
    number = number * 10 + (birth_date[i] - '0');
  }
  return number;
}

std::string DayText(std::int64_t day) {
  if (day == 0) return {};
  std::string digits = std::to_string(day);
  digits.insert(0, digits.size() < 8 ? 8 - digits.size() : 0, '0');
  return digits.substr(0, 4) + "-" + digits.substr(4, 2) + "-" + digits.substr(6, 2);
}

SearchDocument MakeSearchDocument(const Member& member) {
  SearchDocument document{.id = member.id,
                          .version = member.version,
                          .state = member.state,
                          .gender = member.gender,
                          .birth_day = DayNumber(member.birth_date),
                          .display_name = member.display_name,
                          .city = member.city,
                          .tier = member.tier,
                          .tags = member.tags,
                          .attributes = {member.attributes.begin(), member.attributes.end()},
                          .identities = {},
                          .create_time = member.create_time,
                          .update_time = member.update_time,
                          .merged_into = member.merged_into};
  for (const Identity& identity : member.identities) {
    std::pair<std::string, std::string> pair(identity.kind, identity.platform);
    if (std::ranges::find(document.identities, pair) == document.identities.end()) {
      document.identities.push_back(std::move(pair));
    }
  }
  return document;
}

}  // namespace muster
