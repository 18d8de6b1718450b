#include "api/search_json.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "api/member_fields.h"
#include "domain/json_text.h"
#include "domain/member_rules.h"

namespace muster {

namespace {

constexpr FieldPath kRoot;

constexpr SearchFields32 BitOf(SearchField field) { return SearchFields32{1} << static_cast<unsigned>(field); }

constexpr SearchFields32 kIdentityBits = BitOf(SearchField::kIdentityKind) | BitOf(SearchField::kIdentityPlatform);

// Which fields of a search each field of a member holds.
SearchFields32 BitsOf(int member_field) {
  switch (member_field) {
    case kIdField:
      return BitOf(SearchField::kId);
    case kStateField:
      return BitOf(SearchField::kState);
    case kDisplayNameField:
      return BitOf(SearchField::kDisplayName);
    case kGenderField:
      return BitOf(SearchField::kGender);
    case kBirthDateField:
      return BitOf(SearchField::kBirthDate);
    case kCityField:
      return BitOf(SearchField::kCity);
    case kTierField:
      return BitOf(SearchField::kTier);
    case kTagsField:
      return BitOf(SearchField::kTags);
    case kAttributesField:
      return BitOf(SearchField::kAttributes);
    case kIdentitiesField:
      return kIdentityBits;
    case kVersionField:
      return BitOf(SearchField::kVersion);
    case kCreateTimeField:
      return BitOf(SearchField::kCreateTime);
    case kUpdateTimeField:
      return BitOf(SearchField::kUpdateTime);
    case kMergedIntoField:
      return BitOf(SearchField::kMergedInto);
    default:
      return 0;
  }
}

// The members of `json`, a document, as far as `fields` may be among them: they stand in the order of kMemberFields,
// and what a filter looks at stands before all that is long.
std::string_view PrefixWith(std::string_view json, SearchFields32 fields) {
  std::size_t at = 0;
  int index = 0;
  while (at < json.size() && json[at] != '}') {
    const std::string_view rest = json.substr(at + 1);  // without '{' or ','
    const std::size_t colon = rest.find(':');
    if (colon == std::string_view::npos || colon < 2) return json;
    const std::string_view name = rest.substr(1, colon - 2);
    while (index <= kMergedIntoField && name != kMemberFields[static_cast<std::size_t>(index)]) {
      fields &= ~BitsOf(index);
      ++index;
    }
    if (index > kMergedIntoField) return json;
    if (fields == 0) return json.substr(0, at);
    at += 1 + colon + 1 + json_text::ValueLength(rest.substr(colon + 1));
  }
  return json.substr(0, at);
}

void ReadIdentities(JsonValue value, JsonFaults& faults, Member& member) {
  static constexpr std::array<std::string_view, 7> kFields = {"kind",  "platform", "value", "verified",
                                                              "state", "bindTime", "source"};
  JsonList list(value, kRoot, kIdentitiesMax, faults);
  JsonValue element;
  while (list.Next(element)) {
    Identity& identity = member.identities.emplace_back();
    JsonObject object(element, kRoot, kFields, faults);
    JsonValue field;
    for (int index = object.Next(field); index != JsonObject::kEnd; index = object.Next(field)) {
      if (index == 0) ReadText(field, kRoot, faults, identity.kind);
      if (index == 1) ReadText(field, kRoot, faults, identity.platform);
    }
  }
}

}  // namespace

std::int64_t SearchPageSize(std::int64_t asked) {
  return asked == 0 ? kSearchPageDefault : std::min(asked, kSearchPageMax);
}

Result<SearchBody> ReadSearchBody(JsonReader& reader, std::string_view json) {
  static constexpr std::array<std::string_view, 4> kFields = {"filter", "orderBy", "pageSize", "pageToken"};
  MUSTER_ASSIGN(const JsonValue value, reader.Parse(json));
  JsonFaults faults;
  JsonObject object(value, kRoot, kFields, faults);
  SearchBody body;
  JsonValue field;
  for (int index = object.Next(field); index != JsonObject::kEnd; index = object.Next(field)) {
    const FieldPath path = kRoot.Field(kFields[static_cast<std::size_t>(index)]);
    if (index == 0) ReadText(field, path, faults, body.filter);
    if (index == 1) ReadText(field, path, faults, body.order_by);
    if (index == 2) ReadInteger(field, path, 0, INT32_MAX, faults, body.page_size);
    if (index == 3) ReadText(field, path, faults, body.page_token);
  }
  if (faults.any()) return Fail(faults.Take());
  body.page_size = SearchPageSize(body.page_size);
  return body;
}

SearchFields32 FieldsOf(const Filter& filter) {
  if (filter.kind == Filter::Kind::kTest) return BitOf(filter.test.field);
  SearchFields32 fields = 0;
  for (const Filter& child : filter.children) fields |= FieldsOf(child);
  return fields;
}

Result<SearchDocument> ReadSearchDocument(JsonReader& reader, std::string_view json, SearchFields32 fields) {
  const std::string_view prefix = PrefixWith(json, fields);
  std::string text;
  text.reserve(prefix.size() + 1 + JsonReader::kPaddingBytes);
  text.append(prefix.empty() ? "{" : prefix).push_back('}');
  MUSTER_ASSIGN(const JsonValue value, reader.ParseInPlace(text));
  JsonFaults faults;
  JsonObject object(value, kRoot, kMemberFields, faults);
  Member member;
  JsonValue field;
  for (int index = object.Next(field); index != JsonObject::kEnd; index = object.Next(field)) {
    if ((BitsOf(index) & fields) == 0) continue;
    if (index == kIdentitiesField) {
      ReadIdentities(field, faults, member);
    } else {
      ReadMemberField(index, field, kRoot, member, faults);
    }
  }
  if (faults.any()) return Fail(Reason::kInternal, "a member's document is not what a member's JSON is");
  return MakeSearchDocument(member);
}

}  // namespace muster
