#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace muster {

// Appends JSON (RFC 8259, UTF-8, no white space) to a string. Commas are its business, nesting the caller's.
//
//   JsonWriter json(out);
//   json.BeginObject();
//   json.Key("id").Number64(7);      // "id":"7", as proto3's mapping writes 64-bit integers
//   json.EndObject();
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  void BeginObject();
  void EndObject();
  void BeginArray();
  void EndArray();
  JsonWriter& Key(std::string_view key);  // a literal: must need no escaping
  void String(std::string_view text);     // valid UTF-8
  void Number(std::int64_t number);
  void Number64(std::int64_t number);  // in quotes
  void Double(double number);          // shortest form that reads back the same; finite
  void Bool(bool flag);
  void Null();
  void Time(Timestamp time);        // RFC 3339 in quotes
  void Raw(std::string_view json);  // a value that is JSON already

 private:
  void Separate();
  std::string& out_;
  bool needs_comma_ = false;
};

// Appends `text` with JSON's escapes and without the quotes.
void AppendJsonEscaped(std::string& out, std::string_view text);

}  // namespace muster
