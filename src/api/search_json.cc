#include "api/search_json.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "api/member_fields.h"
#include "api/query.h"
#include "domain/json_text.h"
#include "domain/member_rules.h"

namespace muster {

namespace {

constexpr SearchFields32 BitOf(SearchField field) { return SearchFields32{1} << static_cast<unsigned>(field); }

// Which fields of a search each field of a member holds, in the order of kMemberFields.
constexpr std::array<SearchFields32, kMemberFields.size()> kBits = [] {
  std::array<SearchFields32, kMemberFields.size()> bits{};
  bits[kIdField] = BitOf(SearchField::kId);
  bits[kStateField] = BitOf(SearchField::kState);
  bits[kDisplayNameField] = BitOf(SearchField::kDisplayName);
  bits[kGenderField] = BitOf(SearchField::kGender);
  bits[kBirthDateField] = BitOf(SearchField::kBirthDate);
  bits[kCityField] = BitOf(SearchField::kCity);
  bits[kTierField] = BitOf(SearchField::kTier);
  bits[kTagsField] = BitOf(SearchField::kTags);
  bits[kAttributesField] = BitOf(SearchField::kAttributes);
  bits[kIdentitiesField] = BitOf(SearchField::kIdentityKind) | BitOf(SearchField::kIdentityPlatform);
  bits[kVersionField] = BitOf(SearchField::kVersion);
  bits[kCreateTimeField] = BitOf(SearchField::kCreateTime);
  bits[kUpdateTimeField] = BitOf(SearchField::kUpdateTime);
  bits[kMergedIntoField] = BitOf(SearchField::kMergedInto);
  return bits;
}();
// And it and all that may follow it.
constexpr std::array<SearchFields32, kMemberFields.size()> kBitsFrom = [] {
  auto bits = kBits;
  for (std::size_t i = bits.size() - 1; i-- > 0;) bits[i] |= bits[i + 1];
  return bits;
}();

// The fields of a document's JSON one after another, as they stand there: in the order of kMemberFields, without
// spaces.
class DocumentScan {
 public:
  explicit DocumentScan(std::string_view json) : json_(json) {}

  // False behind the last one, and for what is no document.
  bool Next() {
    begin_ = end_;
    if (end_ >= json_.size() || json_[end_] == '}') return false;
    const std::string_view rest = json_.substr(end_ + 1);  // without '{' or ','
    const std::size_t colon = rest.find(':');
    is_document_ = colon != std::string_view::npos && colon >= 2;
    if (!is_document_) return false;
    const std::string_view name = rest.substr(1, colon - 2);
    do {
      if (next_ == kMemberFields.size()) return is_document_ = false;
    } while (name != kMemberFields[next_++]);
    value_ = rest.substr(colon + 1, json_text::ValueLength(rest.substr(colon + 1)));
    end_ += 1 + colon + 1 + value_.size();
    return true;
  }

  bool is_document() const { return is_document_; }
  std::size_t index() const { return next_ - 1; }
  std::string_view value() const { return value_; }
  std::string_view before() const { return json_.substr(0, begin_); }

 private:
  std::string_view json_;
  std::string_view value_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t next_ = 0;
  bool is_document_ = true;
};

// The members of `json`, a document, as far as `fields` may be among them: what a filter looks at stands before all
// that is long.
std::string_view PrefixWith(std::string_view json, SearchFields32 fields) {
  DocumentScan scan(json);
  while (scan.Next() && (fields & kBitsFrom[scan.index()]) != 0) {
  }
  return scan.is_document() ? scan.before() : json;
}

// Takes a string without escapes for a field of a member; false: it takes a parser.
bool SetPlain(std::size_t member_field, std::string_view text, SearchDocument& document) {
  const auto set_number = [text](auto& id) {
    const auto number = ParseDecimal(text);
    if (number) id = std::remove_reference_t<decltype(id)>(*number);
    return number.has_value();
  };
  const auto set = [](auto& field, const auto& parsed) {
    if (parsed) field = *parsed;
    return parsed.has_value();
  };
  switch (member_field) {
    case kIdField:
      return set_number(document.id);
    case kStateField:
      return set(document.state, ParseState(text));
    case kDisplayNameField:
      document.display_name = text;
      return true;
    case kGenderField:
      return set(document.gender, ParseGender(text));
    case kBirthDateField:
      document.birth_day = DayNumber(text);
      return true;
    case kCityField:
      document.city = text;
      return true;
    case kTierField:
      document.tier = text;
      return true;
    case kVersionField:
      return set_number(document.version);
    case kMergedIntoField:
      return set_number(document.merged_into);
    default:
      return false;
  }
}

// What most filters look at needs no parser: strings without escapes, as they stand. Nullopt: it takes one.
std::optional<SearchDocument> ReadPlain(std::string_view json, SearchFields32 fields) {
  std::optional<SearchDocument> document = SearchDocument{.version = Member{}.version};
  DocumentScan scan(json);
  while (scan.Next() && (fields & kBitsFrom[scan.index()]) != 0) {
    if ((fields & kBits[scan.index()]) == 0) continue;
    const std::string_view quoted = scan.value();
    if (quoted.size() < 2 || !quoted.starts_with('"') || !quoted.ends_with('"') || quoted.contains('\\')) {
      return std::nullopt;
    }
    if (!SetPlain(scan.index(), quoted.substr(1, quoted.size() - 2), *document)) return std::nullopt;
  }
  if (!scan.is_document()) return std::nullopt;
  return document;
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
  if (auto plain = ReadPlain(json, fields)) return *std::move(plain);
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
    if ((kBits[static_cast<std::size_t>(index)] & fields) == 0) continue;
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
