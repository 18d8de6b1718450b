#include "api/json_reader.h"

#include <simdjson.h>

#include <bit>
#include <cmath>
#include <optional>

#include "api/buffer_pool.h"
#include "api/query.h"
#include "base/check.h"

namespace muster {

namespace dom = simdjson::dom;

struct JsonAccess {
  using Place = JsonValue::Place;

  static Place Of(dom::element element) { return std::bit_cast<Place>(element); }
  static dom::element Element(const JsonValue& value) { return std::bit_cast<dom::element>(value.place_); }
  static JsonValue Value(dom::element element) { return JsonValue(Of(element)); }

  static Place Of(dom::object::iterator iterator) { return std::bit_cast<Place>(iterator); }
  static dom::object::iterator Field(Place place) { return std::bit_cast<dom::object::iterator>(place); }
  static Place Of(dom::array::iterator iterator) { return std::bit_cast<Place>(iterator); }
  static dom::array::iterator Item(Place place) { return std::bit_cast<dom::array::iterator>(place); }
};

namespace {

constexpr std::size_t kCapacityMin = std::size_t{16} << 10;

std::string_view TypeName(JsonType type) {
  switch (type) {
    case JsonType::kNull:
      return "null";
    case JsonType::kBoolean:
      return "a boolean";
    case JsonType::kNumber:
      return "a number";
    case JsonType::kString:
      return "a string";
    case JsonType::kArray:
      return "an array";
    case JsonType::kObject:
      return "an object";
  }
  MUSTER_UNREACHABLE("a JsonType without a name");
}

void AddTypeFault(JsonValue value, const FieldPath& path, std::string_view expected, JsonFaults& faults) {
  faults.Add(path, std::string("must be ").append(expected).append(", not ").append(TypeName(value.type())));
}

std::string DescribeParseError(simdjson::error_code code) {
  switch (code) {
    case simdjson::EMPTY:
      return "the body is empty; a JSON value is expected";
    case simdjson::DEPTH_ERROR:
      return "the body is nested deeper than 32 levels";
    case simdjson::UTF8_ERROR:
      return "the body is not UTF-8";
    case simdjson::NUMBER_ERROR:
      return "the body contains a number that is malformed or out of range";
    case simdjson::STRING_ERROR:
      return "the body contains a string with a malformed escape";
    case simdjson::UNESCAPED_CHARS:
      return "the body contains a string with a control character that is not escaped";
    case simdjson::UNCLOSED_STRING:
      return "the body ends within a string";
    default:
      return "the body is not JSON, or more than one value";
  }
}

}  // namespace

void JsonFaults::Add(const FieldPath& path, std::string description) {
  if (!is_full()) violations_.push_back({path.Text(), std::move(description)});
}

void JsonFaults::Supersede(const FieldPath& path, std::string description) {
  const std::string whole = path.Text();
  std::erase_if(violations_, [&whole](const FieldViolation& violation) {
    const std::string_view field = violation.field;
    return field.size() > whole.size() && field.starts_with(whole) &&
           (field[whole.size()] == '[' || field[whole.size()] == '.');
  });
  Add(path, std::move(description));
}

void JsonFaults::AddError(const FieldPath& path, Error error) {
  if (error.violations.empty()) return Add(path, std::move(error.message));
  for (FieldViolation& violation : error.violations) Add(path.Field(violation.field), std::move(violation.description));
}

Error JsonFaults::Take() {
  MUSTER_CHECK(any());
  const FieldViolation& first = violations_.front();
  std::string message = first.field.empty() ? first.description : first.field + ": " + first.description;
  if (violations_.size() > 1) message += " (and " + std::to_string(violations_.size() - 1) + " more, see errors)";
  return Error{.reason = Reason::kInvalidArgument, .message = std::move(message), .violations = std::move(violations_)};
}

JsonType JsonValue::type() const {
  switch (JsonAccess::Element(*this).type()) {
    case dom::element_type::NULL_VALUE:
      return JsonType::kNull;
    case dom::element_type::BOOL:
      return JsonType::kBoolean;
    case dom::element_type::STRING:
      return JsonType::kString;
    case dom::element_type::ARRAY:
      return JsonType::kArray;
    case dom::element_type::OBJECT:
      return JsonType::kObject;
    case dom::element_type::INT64:
    case dom::element_type::UINT64:
    case dom::element_type::DOUBLE:
      return JsonType::kNumber;
  }
  MUSTER_UNREACHABLE("a simdjson type that is not JSON's");
}

struct JsonReader::State {
  std::unique_ptr<dom::parser> parser;
  std::string padded;
};

JsonReader::JsonReader() : state_(std::make_unique<State>()) {}
JsonReader::~JsonReader() = default;

Result<JsonValue> JsonReader::Parse(std::string_view text) {
  std::string& padded = state_->padded;
  if (padded.capacity() > kScratchBytesMax && text.size() + kPaddingBytes <= kScratchBytesMax) {
    std::string().swap(padded);  // assigning would keep the memory
  }
  padded.assign(text);
  padded.append(kPaddingBytes, '\0');
  return ParseInPlace({padded.data(), text.size()});
}

Result<JsonValue> JsonReader::ParseInPlace(std::string_view text) {
  if (state_->parser != nullptr && state_->parser->capacity() > kScratchBytesMax && text.size() <= kScratchBytesMax) {
    state_->parser.reset();
  }
  if (state_->parser == nullptr) {
    state_->parser = std::make_unique<dom::parser>();
    if (state_->parser->allocate(kCapacityMin, kDepthMax) != simdjson::SUCCESS) {
      return Fail(Reason::kOverloaded, "there is no memory to parse the body; try again later");
    }
  }
  dom::element root;
  const auto error = state_->parser->parse(text.data(), text.size(), false).get(root);
  if (error == simdjson::MEMALLOC || error == simdjson::CAPACITY) {
    return Fail(Reason::kOverloaded, "there is no memory to parse the body; try again later");
  }
  if (error != simdjson::SUCCESS) return FailField("", DescribeParseError(error));
  return JsonAccess::Value(root);
}

JsonObject::JsonObject(JsonValue value, const FieldPath& path, std::span<const std::string_view> known,
                       JsonFaults& faults)
    : path_(path), known_(known), faults_(faults) {
  MUSTER_CHECK(known.size() <= 64);
  dom::object object;
  if (JsonAccess::Element(value).get(object) != simdjson::SUCCESS) {
    AddTypeFault(value, path, "an object", faults);
    return;
  }
  is_object_ = true;
  next_ = JsonAccess::Of(object.begin());
  end_ = JsonAccess::Of(object.end());
}

int JsonObject::Next(JsonValue& value) {
  if (!is_object_) return kEnd;
  while (next_ != end_) {
    dom::object::iterator field = JsonAccess::Field(next_);
    const std::string_view name = field.key();
    const JsonValue content = JsonAccess::Value(field.value());
    ++field;
    next_ = JsonAccess::Of(field);

    std::size_t index = expected_;
    std::size_t compared = 0;
    while (compared < known_.size() && known_[index] != name) {
      ++compared;
      if (++index == known_.size()) index = 0;
    }
    if (compared == known_.size()) {
      if (faults_.is_full()) continue;
      const std::string shown = ShownName(name);
      faults_.Add(path_.Field(shown), DescribeUnknownName(name, known_));
      continue;
    }
    expected_ = index + 1 == known_.size() ? 0 : index + 1;
    const std::uint64_t bit = std::uint64_t{1} << index;
    if ((seen_ & bit) != 0) {
      faults_.Add(path_.Field(known_[index]), "is given twice");
      continue;
    }
    seen_ |= bit;
    if (content.type() == JsonType::kNull) {
      nulls_ |= bit;
      continue;
    }
    value = content;
    return static_cast<int>(index);
  }
  return kEnd;
}

JsonList::JsonList(JsonValue value, const FieldPath& path, std::size_t elements_max, JsonFaults& faults) {
  dom::array array;
  if (JsonAccess::Element(value).get(array) != simdjson::SUCCESS) {
    AddTypeFault(value, path, "an array", faults);
    return;
  }
  // array::size() saturates at 2^24-1, above any bound here.
  if (array.size() > elements_max) {
    faults.Add(path, "has more than " + std::to_string(elements_max) + " elements");
    return;
  }
  size_ = array.size();
  next_ = JsonAccess::Of(array.begin());
}

bool JsonList::Next(JsonValue& value) {
  if (taken_ == size_) return false;
  ++taken_;
  dom::array::iterator item = JsonAccess::Item(next_);
  value = JsonAccess::Value(*item);
  ++item;
  next_ = JsonAccess::Of(item);
  return true;
}

JsonMap::JsonMap(JsonValue value, const FieldPath& path, std::size_t fields_max, JsonFaults& faults) {
  dom::object object;
  if (JsonAccess::Element(value).get(object) != simdjson::SUCCESS) {
    AddTypeFault(value, path, "an object", faults);
    return;
  }
  if (object.size() > fields_max) {
    faults.Add(path, "has more than " + std::to_string(fields_max) + " fields");
    return;
  }
  size_ = object.size();
  next_ = JsonAccess::Of(object.begin());
}

bool JsonMap::Next(std::string_view& name, JsonValue& value) {
  if (taken_ == size_) return false;
  ++taken_;
  dom::object::iterator field = JsonAccess::Field(next_);
  name = field.key();
  value = JsonAccess::Value(field.value());
  ++field;
  next_ = JsonAccess::Of(field);
  return true;
}

bool ReadText(JsonValue value, const FieldPath& path, JsonFaults& faults, std::string_view& text) {
  std::string_view found;
  if (JsonAccess::Element(value).get(found) != simdjson::SUCCESS) {
    AddTypeFault(value, path, "a string", faults);
    return false;
  }
  if (found.find('\0') != std::string_view::npos) {
    faults.Add(path, "contains a NUL");
    return false;
  }
  text = found;
  return true;
}

bool ReadInteger(JsonValue value, const FieldPath& path, std::int64_t min, std::int64_t max, JsonFaults& faults,
                 std::int64_t& number) {
  // From here on a double stands for whole numbers that were rounded to it, too.
  constexpr double kInexactFrom = 9007199254740992.0;
  const dom::element element = JsonAccess::Element(value);
  std::optional<std::int64_t> found;
  std::int64_t integer = 0;
  double real = 0;
  std::string_view text;
  if (element.get(integer) == simdjson::SUCCESS) {
    found = integer;
  } else if (element.get(text) == simdjson::SUCCESS) {
    found = ParseDecimal(text);
  } else if (element.get(real) == simdjson::SUCCESS) {
    if (std::abs(real) < kInexactFrom && std::trunc(real) == real) found = static_cast<std::int64_t>(real);
  } else {
    AddTypeFault(value, path, "a whole number, or a string of digits", faults);
    return false;
  }
  if (!found || *found < min || *found > max) {
    faults.Add(path, "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    return false;
  }
  number = *found;
  return true;
}

bool ReadBoolean(JsonValue value, const FieldPath& path, JsonFaults& faults, bool& flag) {
  if (JsonAccess::Element(value).get(flag) == simdjson::SUCCESS) return true;
  AddTypeFault(value, path, "true or false", faults);
  return false;
}

}  // namespace muster
