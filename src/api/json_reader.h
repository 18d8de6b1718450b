#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/field_path.h"
#include "base/result.h"

namespace muster {

// Collects what is wrong with a body, so that a caller hears of all its mistakes at once; the first kViolationsMax of
// them.
class JsonFaults {
 public:
  static constexpr std::size_t kViolationsMax = 16;

  void Add(const FieldPath& path, std::string description);
  // Adds a fault of the whole at `path` in place of those of its parts.
  void Supersede(const FieldPath& path, std::string description);
  // Takes over the faults of an INVALID_ARGUMENT whose fields are below `path`.
  void AddError(const FieldPath& path, Error error);
  bool any() const { return !violations_.empty(); }
  // No more are kept: what is costly to describe need not be.
  bool is_full() const { return violations_.size() == kViolationsMax; }
  // INVALID_ARGUMENT. Only when there are any.
  Error Take();

 private:
  std::vector<FieldViolation> violations_;
};

enum class JsonType : std::uint8_t { kNull, kBoolean, kNumber, kString, kArray, kObject };

// One value of a parsed text; valid until its reader parses again.
class JsonValue {
 public:
  JsonValue() = default;
  JsonType type() const;

  // The parser's own handle, in plain words so that its header stays out of this one.
  using Place = std::array<std::uintptr_t, 2>;

 private:
  friend struct JsonAccess;
  explicit JsonValue(Place place) : place_(place) {}
  Place place_{};
};

// Parses JSON texts (RFC 8259, by simdjson). Not thread-safe: one for each loop; its buffers are used again and again,
// and given back after a text that was much larger than usual.
class JsonReader {
 public:
  static constexpr std::size_t kDepthMax = 32;
  // Bytes after a text that ParseInPlace may read, whatever they are.
  static constexpr std::size_t kPaddingBytes = 64;

  JsonReader();
  ~JsonReader();
  JsonReader(const JsonReader&) = delete;
  JsonReader& operator=(const JsonReader&) = delete;

  // INVALID_ARGUMENT, saying what is wrong but never repeating any of it: not JSON, not UTF-8, deeper than kDepthMax,
  // empty, more than one value, a number beyond every range.
  Result<JsonValue> Parse(std::string_view text);
  // The same without a copy: kPaddingBytes after `text` must be readable.
  Result<JsonValue> ParseInPlace(std::string_view text);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Walks the fields of an object in their order. Faults: not an object, a field that is not in `known`, a field given
// twice.
class JsonObject {
 public:
  // At most 64 known names. They, `path` and `faults` must stay while this is used.
  JsonObject(JsonValue value, const FieldPath& path, std::span<const std::string_view> known, JsonFaults& faults);

  static constexpr int kEnd = -1;
  // The index in `known` of the next field that is not null, and its value; kEnd after the last. Proto3's mapping has
  // null mean absent, except that nulls() remembers it.
  int Next(JsonValue& value);

  bool is_object() const { return is_object_; }

  // Bit i: the i-th known field was there, as a value or as null. Complete after kEnd.
  std::uint64_t seen() const { return seen_; }
  std::uint64_t nulls() const { return nulls_; }

 private:
  const FieldPath& path_;
  std::span<const std::string_view> known_;
  JsonFaults& faults_;
  std::size_t expected_ = 0;  // where the next name is looked for first: bodies tend to follow the order of `known`
  JsonValue::Place next_{};
  JsonValue::Place end_{};
  bool is_object_ = false;
  std::uint64_t seen_ = 0;
  std::uint64_t nulls_ = 0;
};

// Walks the elements of an array. Faults: not an array, more than `elements_max` elements (which are then not walked).
class JsonList {
 public:
  JsonList(JsonValue value, const FieldPath& path, std::size_t elements_max, JsonFaults& faults);

  std::size_t size() const { return size_; }
  bool Next(JsonValue& value);

 private:
  JsonValue::Place next_{};
  std::size_t size_ = 0;
  std::size_t taken_ = 0;
};

// Walks the fields of an object whose names are data. Faults as JsonList's.
class JsonMap {
 public:
  JsonMap(JsonValue value, const FieldPath& path, std::size_t fields_max, JsonFaults& faults);
  bool Next(std::string_view& name, JsonValue& value);

 private:
  JsonValue::Place next_{};
  std::size_t size_ = 0;
  std::size_t taken_ = 0;
};

// Leaves. Each answers whether it could read, and adds a fault if not.

// A string without NUL. The view is valid as long as the value.
bool ReadText(JsonValue value, const FieldPath& path, JsonFaults& faults, std::string_view& text);
// A whole number from `min`, which is not negative, to `max`; also as a string of digits, as proto3's mapping writes
// 64-bit integers.
bool ReadInteger(JsonValue value, const FieldPath& path, std::int64_t min, std::int64_t max, JsonFaults& faults,
                 std::int64_t& number);
bool ReadBoolean(JsonValue value, const FieldPath& path, JsonFaults& faults, bool& flag);

}  // namespace muster
