#include "api/member_fields.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/encoding.h"

namespace muster {

namespace {

void ReadPersonalText(JsonValue value, const FieldPath& path, JsonFaults& faults, Pii<std::string>& text) {
  std::string_view read;
  if (ReadText(value, path, faults, read)) text = Pii<std::string>(std::string(read));
}

void ReadTags(JsonValue value, const FieldPath& path, JsonFaults& faults, std::vector<std::string>& tags) {
  JsonList list(value, path, kTagsMax, faults);
  tags.reserve(list.size());
  JsonValue element;
  for (std::size_t i = 0; list.Next(element); ++i) {
    std::string_view text;
    if (ReadText(element, path.Element(i), faults, text)) tags.emplace_back(text);
  }
}

void ReadAttributes(JsonValue value, const FieldPath& path, JsonFaults& faults,
                    std::map<std::string, std::string>& out) {
  JsonMap map(value, path, kAttributesMax, faults);
  std::string_view name;
  JsonValue element;
  while (map.Next(name, element)) {
    const std::string shown = ShownName(name);
    const FieldPath place = path.Field(shown);
    std::string_view text;
    if (name.find('\0') != std::string_view::npos) {
      faults.Add(path, "contains a name with a NUL");
    } else if (ReadText(element, place, faults, text) && !out.emplace(name, text).second) {
      faults.Add(place, "is given twice");
    }
  }
}

template <typename Number>
void ReadNumber(JsonValue value, const FieldPath& path, JsonFaults& faults, Number& number) {
  std::int64_t read = 0;
  if (ReadInteger(value, path, 1, INT64_MAX, faults, read)) number = Number(read);
}

}  // namespace

int FieldOfName(std::string_view name) {
  const auto found = std::find(kMemberFields.begin(), kMemberFields.end(), name);
  return found == kMemberFields.end() ? -1 : static_cast<int>(found - kMemberFields.begin());
}

std::string DescribeImmutable(int field) {
  if (field == kIdentitiesField) return "cannot be changed by an update; use :bind and :unbind";
  if (field == kVersionField) return "cannot be changed by an update; to demand a version, send If-Match";
  return "cannot be changed by an update; leave it out, or name the fields to change in updateMask";
}

void ReadMemberField(int field, JsonValue value, const FieldPath& path, Member& member, JsonFaults& faults) {
  switch (field) {
    case kIdField:
      return ReadNumber(value, path, faults, member.id);
    case kStateField:
      ReadEnum(value, path, faults, ParseState, "ACTIVE, FROZEN, MERGED or CLOSED", member.state);
      return;
    case kDisplayNameField:
      ReadText(value, path, faults, member.display_name);
      return;
    case kRealNameField:
      return ReadPersonalText(value, path, faults, member.real_name);
    case kGenderField:
      ReadEnum(value, path, faults, ParseGender, "FEMALE, MALE or OTHER", member.gender);
      return;
    case kBirthDateField:
      ReadText(value, path, faults, member.birth_date);
      return;
    case kCityField:
      ReadText(value, path, faults, member.city);
      return;
    case kTierField:
      ReadText(value, path, faults, member.tier);
      return;
    case kTagsField:
      return ReadTags(value, path, faults, member.tags);
    case kAttributesField:
      return ReadAttributes(value, path, faults, member.attributes);
    case kVersionField:
      return ReadNumber(value, path, faults, member.version);
    case kCreateTimeField:
      ReadTime(value, path, faults, member.create_time);
      return;
    case kUpdateTimeField:
      ReadTime(value, path, faults, member.update_time);
      return;
    case kMergedIntoField:
      return ReadNumber(value, path, faults, member.merged_into);
    default:
      MUSTER_UNREACHABLE("a member field without a case");
  }
}

std::uint64_t FieldsOfMask(const std::vector<std::string>* mask) {
  if (mask == nullptr) return kUpdatableFields;
  std::uint64_t fields = 0;
  for (const std::string& name : *mask) {
    fields |= name == kWholeMask ? kUpdatableFields : FieldBit(FieldOfName(name));
  }
  return fields;
}

void SettlePatch(MemberPatch& patch, const std::vector<std::string>* mask, std::uint64_t wanted, std::uint64_t sent,
                 std::uint64_t given, JsonFaults& faults) {
  // A replacement of the whole member without a state is not about its state, which cannot be cleared.
  if (mask != nullptr && mask->front() == kWholeMask && (given & FieldBit(kStateField)) == 0) {
    wanted &= ~FieldBit(kStateField);
  }
  const std::uint64_t changed = mask != nullptr ? wanted : sent & wanted;
  if ((changed & FieldBit(kStateField)) != 0) {
    if ((given & FieldBit(kStateField)) == 0) {
      faults.Add(kRoot.Field("state"), "cannot be cleared; give ACTIVE or FROZEN");
    } else if (patch.values.state != MemberState::kActive && patch.values.state != MemberState::kFrozen) {
      faults.Add(kRoot.Field("state"), "can be set to ACTIVE or FROZEN only; :close closes a member");
    }
  }
  for (std::size_t i = 0; i < kMemberFields.size(); ++i) {
    if ((changed & FieldBit(static_cast<int>(i))) != 0) patch.fields.emplace_back(kMemberFields[i]);
  }
}

bool Identify(const IdentityCatalog& catalog, KeyedHash& hash, Identity& identity, std::string_view value,
              const FieldPath& path, JsonFaults& faults) {
  auto normalised = catalog.Normalise(identity.kind, identity.platform, value, "");
  if (!normalised) {
    faults.AddError(path, std::move(normalised).error());
    return false;
  }
  identity.key = hash.KeyOf(identity.kind, identity.platform, *normalised);
  identity.value = Pii<std::string>(*std::move(normalised));
  return true;
}

bool ReadText(JsonValue value, const FieldPath& path, JsonFaults& faults, std::string& text) {
  std::string_view read;
  if (!ReadText(value, path, faults, read)) return false;
  text = read;
  return true;
}

bool ReadTime(JsonValue value, const FieldPath& path, JsonFaults& faults, Timestamp& time) {
  std::string_view text;
  if (!ReadText(value, path, faults, text)) return false;
  const auto micros = ParseTimestamp(text);
  if (!micros) {
    faults.Add(path, "must be a time as in RFC 3339: \"2026-01-02T03:04:05Z\"");
    return false;
  }
  time = Timestamp(Duration(*micros));
  return true;
}

Result<std::vector<std::string>> ParseUpdateMask(std::string_view text) {
  std::vector<std::string> fields;
  if (text == kWholeMask) return std::vector<std::string>{std::string(text)};
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view name = text.substr(0, comma);
    const int field = FieldOfName(name);
    if (name.empty()) return FailField("updateMask", "contains an empty name; write names with commas between them");
    if (field < 0) return FailField("updateMask", ShownName(name) + " " + DescribeUnknownName(name, kUpdatableNames));
    if ((kUpdatableFields & FieldBit(field)) == 0) {
      return FailField("updateMask", std::string(name) + " " + DescribeImmutable(field));
    }
    if (std::find(fields.begin(), fields.end(), name) != fields.end()) {
      return FailField("updateMask", std::string(name) + " is named twice");
    }
    fields.emplace_back(name);
    if (comma == std::string_view::npos) return fields;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace muster
