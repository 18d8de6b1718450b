#include "domain/json_writer.h"

#include <charconv>
#include <cmath>

#include "base/check.h"
#include "domain/json_text.h"

namespace muster {

void JsonWriter::Separate() {
  if (needs_comma_) out_.push_back(',');
  needs_comma_ = true;
}

void JsonWriter::BeginObject() {
  Separate();
  out_.push_back('{');
  needs_comma_ = false;
}

void JsonWriter::EndObject() {
  out_.push_back('}');
  needs_comma_ = true;
}

void JsonWriter::BeginArray() {
  Separate();
  out_.push_back('[');
  needs_comma_ = false;
}

void JsonWriter::EndArray() {
  out_.push_back(']');
  needs_comma_ = true;
}

JsonWriter& JsonWriter::Key(std::string_view key) {
  Separate();
  out_.push_back('"');
  out_.append(key);
  out_.append("\":");
  needs_comma_ = false;
  return *this;
}

void JsonWriter::String(std::string_view text) {
  Separate();
  out_.push_back('"');
  AppendJsonEscaped(out_, text);
  out_.push_back('"');
}

void JsonWriter::Number(std::int64_t number) {
  Separate();
  char digits[json_text::kNumberBytesMax];
  out_.append(digits, json_text::WriteNumber(digits, number));
}

void JsonWriter::Number64(std::int64_t number) {
  Separate();
  char text[json_text::kNumberBytesMax + 2] = {'"'};
  char* end = json_text::WriteNumber(text + 1, number);
  *end++ = '"';
  out_.append(text, end);
}

void JsonWriter::Double(double number) {
  MUSTER_CHECK(std::isfinite(number));
  Separate();
  char digits[32];
  out_.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

void JsonWriter::Bool(bool flag) {
  Separate();
  out_.append(flag ? "true" : "false");
}

void JsonWriter::Null() {
  Separate();
  out_.append("null");
}

void JsonWriter::Time(Timestamp time) {
  Separate();
  char text[json_text::kTimeBytesMax + 2] = {'"'};
  char* end = json_text::WriteTime(text + 1, time);
  *end++ = '"';
  out_.append(text, end);
}

void JsonWriter::Raw(std::string_view json) {
  Separate();
  out_.append(json);
}

void AppendJsonEscaped(std::string& out, std::string_view text) {
  while (true) {
    const std::size_t plain = json_text::PlainPrefix(text);
    out.append(text.substr(0, plain));
    if (plain == text.size()) return;
    char escape[json_text::kEscapedBytesPerByteMax];
    out.append(escape, json_text::WriteEscaped(escape, text.substr(plain, 1)));
    text.remove_prefix(plain + 1);
  }
}

}  // namespace muster
