#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <unordered_set>
#include <utility>

#include "base/check.h"
#include "base/encoding.h"
#include "domain/member_document.h"
#include "domain/member_rules.h"
#include "domain/normalise.h"

namespace muster {

namespace {

constexpr std::string_view kControlRule = "must not contain control characters";

template <typename Enum, std::size_t N>
using Names = std::array<std::pair<Enum, std::string_view>, N>;

constexpr Names<MemberState, 4> kStateNames = {{{MemberState::kActive, "ACTIVE"},
                                                {MemberState::kFrozen, "FROZEN"},
                                                {MemberState::kMerged, "MERGED"},
                                                {MemberState::kClosed, "CLOSED"}}};
constexpr Names<Gender, 4> kGenderNames = {{{Gender::kUnspecified, "GENDER_UNSPECIFIED"},
                                            {Gender::kFemale, "FEMALE"},
                                            {Gender::kMale, "MALE"},
                                            {Gender::kOther, "OTHER"}}};
constexpr Names<IdentityState, 2> kIdentityStateNames = {
    {{IdentityState::kBound, "BOUND"}, {IdentityState::kQuarantined, "QUARANTINED"}}};

template <typename Enum, std::size_t N>
std::string_view NameIn(const Names<Enum, N>& names, Enum value) {
  for (const auto& [known, name] : names) {
    if (known == value) return name;
  }
  MUSTER_UNREACHABLE("an enumerator without a name");
}

template <typename Enum, std::size_t N>
std::optional<Enum> ParseIn(const Names<Enum, N>& names, std::string_view name) {
  for (const auto& [value, known] : names) {
    if (known == name) return value;
  }
  return std::nullopt;
}

template <typename Enum, std::size_t N>
bool IsIn(const Names<Enum, N>& names, Enum value) {
  return std::ranges::any_of(names, [value](const auto& entry) { return entry.first == value; });
}

bool IsPlainAscii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

Result<void> CheckText(std::string_view field, std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max) {
    return FailField(std::string(field), "must be at most " + std::to_string(bytes_max) + " bytes of UTF-8");
  }
  if (IsPlainAscii(text)) return {};
  if (!IsValidUtf8(text)) return FailField(std::string(field), "must be valid UTF-8");
  if (HasControlCharacter(text)) return FailField(std::string(field), std::string(kControlRule));
  return {};
}

// The years that the JSON of a time can say.
Result<void> CheckTime(std::string_view field, Timestamp time) {
  constexpr Timestamp kFirst = std::chrono::sys_days(std::chrono::January / 1 / 1);
  constexpr Timestamp kEnd = std::chrono::sys_days(std::chrono::January / 1 / 10000);
  if (time < kFirst || time >= kEnd) return FailField(std::string(field), "must be in the years 1 to 9999");
  return {};
}

Result<void> CheckTags(const Member& member) {
  if (member.tags.size() > kTagsMax) return FailField("tags", "must be at most " + std::to_string(kTagsMax));
  std::unordered_set<std::string_view> seen;
  for (std::size_t i = 0; i < member.tags.size(); ++i) {
    const std::string& tag = member.tags[i];
    if (tag.empty()) return FailField(Indexed("tags", i), "must not be empty");
    MUSTER_TRY(CheckText(Indexed("tags", i), tag, kWordBytesMax));
    if (!seen.insert(tag).second) return FailField(Indexed("tags", i), "is there twice: name each tag once");
  }
  return {};
}

Result<void> CheckAttributes(const Member& member) {
  if (member.attributes.size() > kAttributesMax) {
    return FailField("attributes", "must be at most " + std::to_string(kAttributesMax));
  }
  for (const auto& [name, value] : member.attributes) {
    if (name.empty()) return FailField("attributes", "must not have an empty name");
    // The path names an attribute only when its name is fit to be shown.
    MUSTER_TRY(CheckText("attributes", name, kWordBytesMax));
    MUSTER_TRY(CheckText("attributes." + name, value, kAttributeValueBytesMax));
  }
  return {};
}

Result<void> CheckIdentityFields(const Member& member) {
  for (std::size_t i = 0; i < member.identities.size(); ++i) {
    const Identity& identity = member.identities[i];
    const std::string path = Indexed("identities", i);
    MUSTER_TRY(CheckText(path + ".source", identity.source, kWordBytesMax));
    MUSTER_TRY(CheckTime(path + ".bindTime", identity.bind_time));
    if (!IsIn(kIdentityStateNames, identity.state)) return FailField(path + ".state", "must be BOUND or QUARANTINED");
  }
  return {};
}

Result<void> CheckState(const Member& member) {
  if (!IsIn(kStateNames, member.state)) return FailField("state", "must be ACTIVE, FROZEN, MERGED or CLOSED");
  const bool is_merged = member.state == MemberState::kMerged;
  if (is_merged != (member.merged_into.value() != 0)) {
    return FailField("mergedInto", "must name the surviving member when the state is MERGED, and only then");
  }
  if (member.merged_into.value() < 0 || (is_merged && member.merged_into == member.id)) {
    return FailField("mergedInto", "must be the id of another member");
  }
  const bool is_gone = is_merged || member.state == MemberState::kClosed;
  if (is_gone && !member.identities.empty())
    return FailField("identities", "must be empty when the state is MERGED or CLOSED");
  return {};
}

}  // namespace

bool IsDay(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  const auto number = [text](std::size_t at, std::size_t size) {
    int value = 0;
    for (const char c : text.substr(at, size)) value = c >= '0' && c <= '9' && value >= 0 ? value * 10 + (c - '0') : -1;
    return value;
  };
  const int year = number(0, 4);
  const int month = number(5, 2);
  const int day = number(8, 2);
  if (year < 1 || month < 0 || day < 0) return false;
  return std::chrono::year_month_day(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                     std::chrono::day(static_cast<unsigned>(day)))
      .ok();
}

Result<void> CheckFields(const Member& member) {
  if (member.id.value() < 0) return FailField("id", "must be positive");
  if (member.version.value() < 1) return FailField("version", "must be positive");
  MUSTER_TRY(CheckText("displayName", member.display_name, kNameBytesMax));
  MUSTER_TRY(CheckText("realName", member.real_name.Reveal(), kNameBytesMax));
  if (IsMasked(member.real_name.Reveal())) {
    return FailField("realName",
                     "looks like a masked value: ask a caller with personal.read to write it, or leave realName out of "
                     "the request and its updateMask; no real name may contain ***");
  }
  if (!IsIn(kGenderNames, member.gender)) return FailField("gender", "must be FEMALE, MALE or OTHER");
  if (!member.birth_date.empty() && !IsDay(member.birth_date)) {
    return FailField("birthDate", "must be a day of the calendar as YYYY-MM-DD");
  }
  MUSTER_TRY(CheckText("city", member.city, kWordBytesMax));
  MUSTER_TRY(CheckText("tier", member.tier, kWordBytesMax));
  MUSTER_TRY(CheckTags(member));
  MUSTER_TRY(CheckAttributes(member));
  MUSTER_TRY(CheckIdentityFields(member));
  MUSTER_TRY(CheckTime("createTime", member.create_time));
  MUSTER_TRY(CheckTime("updateTime", member.update_time));
  return CheckState(member);
}

std::string_view StateName(MemberState state) { return NameIn(kStateNames, state); }
std::optional<MemberState> ParseState(std::string_view name) { return ParseIn(kStateNames, name); }
std::string_view GenderName(Gender gender) { return NameIn(kGenderNames, gender); }
std::optional<Gender> ParseGender(std::string_view name) { return ParseIn(kGenderNames, name); }
std::string_view IdentityStateName(IdentityState state) { return NameIn(kIdentityStateNames, state); }
std::optional<IdentityState> ParseIdentityState(std::string_view name) { return ParseIn(kIdentityStateNames, name); }

}  // namespace muster
