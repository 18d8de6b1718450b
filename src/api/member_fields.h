#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/field_path.h"
#include "api/json_reader.h"
#include "base/clock.h"
#include "base/result.h"
#include "domain/identity_catalog.h"
#include "domain/keyring.h"
#include "domain/member.h"
#include "domain/member_rules.h"
#include "domain/ports/member_writer.h"

namespace muster {

// The fields of a member in the API's spelling, in the order of their numbers in muster.v1.Member, and how each is read
// from JSON.
inline constexpr std::array<std::string_view, 15> kMemberFields = {
    "id",   "state",      "displayName", "realName", "gender",     "birthDate",  "city",      "tier",
    "tags", "attributes", "identities",  "version",  "createTime", "updateTime", "mergedInto"};
enum MemberField : int {
  kIdField,
  kStateField,
  kDisplayNameField,
  kRealNameField,
  kGenderField,
  kBirthDateField,
  kCityField,
  kTierField,
  kTagsField,
  kAttributesField,
  kIdentitiesField,
  kVersionField,
  kCreateTimeField,
  kUpdateTimeField,
  kMergedIntoField,
};

constexpr std::uint64_t FieldBit(int field) { return std::uint64_t{1} << field; }

// What an update may change.
inline constexpr std::uint64_t kUpdatableFields =
    FieldBit(kStateField) | FieldBit(kDisplayNameField) | FieldBit(kRealNameField) | FieldBit(kGenderField) |
    FieldBit(kBirthDateField) | FieldBit(kCityField) | FieldBit(kTierField) | FieldBit(kTagsField) |
    FieldBit(kAttributesField);
// Their names: they stand together.
inline constexpr std::span<const std::string_view> kUpdatableNames =
    std::span(kMemberFields).subspan(kStateField, kAttributesField - kStateField + 1);
static_assert(kUpdatableFields == FieldBit(kAttributesField + 1) - FieldBit(kStateField));
// As an updateMask: all that an update may change (AIP-134).
inline constexpr std::string_view kWholeMask = "*";
// What the server sets, unless a caller with the import scope brings it along.
inline constexpr std::uint64_t kPastFields = FieldBit(kStateField) | FieldBit(kVersionField) |
                                             FieldBit(kCreateTimeField) | FieldBit(kUpdateTimeField) |
                                             FieldBit(kMergedIntoField);

// The field of that name; -1 when there is none.
int FieldOfName(std::string_view name);
// Why an update cannot change `field`, and what does.
std::string DescribeImmutable(int field);

// The fields of an updateMask: names of the fields an update may change, separated by commas, or kWholeMask alone,
// which stays as it is. INVALID_ARGUMENT: empty, unknown, repeated, a part of a field, a field that updates cannot
// change.
Result<std::vector<std::string>> ParseUpdateMask(std::string_view text);

// The fields that a mask of ParseUpdateMask names; kUpdatableFields without one (null).
std::uint64_t FieldsOfMask(const std::vector<std::string>* mask);
// Settles which fields a patch changes: those `wanted` by its mask, or without one (null) those that were sent and are
// `wanted`; `given` are those that have a value. Faults: a state that cannot be set.
void SettlePatch(MemberPatch& patch, const std::vector<std::string>* mask, std::uint64_t wanted, std::uint64_t sent,
                 std::uint64_t given, JsonFaults& faults);

// Normalises `value` into `identity`, whose kind and platform are set, and sets its key. False: a fault was added.
bool Identify(const IdentityCatalog& catalog, KeyedHash& hash, Identity& identity, std::string_view value,
              const FieldPath& path, JsonFaults& faults);

// Reads any field except kIdentitiesField into `member`.
void ReadMemberField(int field, JsonValue value, const FieldPath& path, Member& member, JsonFaults& faults);

bool ReadText(JsonValue value, const FieldPath& path, JsonFaults& faults, std::string& text);
// RFC 3339.
bool ReadTime(JsonValue value, const FieldPath& path, JsonFaults& faults, Timestamp& time);

// An enumeration by its name; `names` are what the fault offers.
template <typename T>
bool ReadEnum(JsonValue value, const FieldPath& path, JsonFaults& faults, std::optional<T> (*parse)(std::string_view),
              std::string_view names, T& result) {
  std::string_view text;
  if (!ReadText(value, path, faults, text)) return false;
  const std::optional<T> parsed = parse(text);
  if (!parsed) {
    faults.Add(path, std::string("must be ").append(names));
    return false;
  }
  result = *parsed;
  return true;
}

}  // namespace muster
