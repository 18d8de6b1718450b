#include "api/query.h"

#include <algorithm>
#include <charconv>

#include "api/field_path.h"
#include "base/encoding.h"

namespace muster {

namespace {

bool Decode(std::string_view text, char plus, std::string& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i] == '+' ? plus : text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return false;
    const int high = HexValue(text[i + 1]);
    const int low = HexValue(text[i + 2]);
    if (high < 0 || low < 0) return false;
    out.push_back(static_cast<char>(high << 4 | low));
    i += 2;
  }
  return true;
}

}  // namespace

bool PercentDecode(std::string_view text, std::string& out) { return Decode(text, '+', out); }

bool DecodeQueryValue(std::string_view text, std::string& out) {
  if (text.starts_with('+')) {
    out.push_back('+');
    text.remove_prefix(1);
  }
  return Decode(text, ' ', out);
}

Result<void> QueryParameters::Parse(std::string_view query, std::span<const std::string_view> known) {
  count_ = 0;
  decoded_.clear();
  decoded_.reserve(query.size());  // decoding never makes text longer, so the views into it stay
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view part = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
    if (!part.empty()) MUSTER_TRY(Add(part, known));
  }
  return {};
}

Result<void> QueryParameters::Add(std::string_view part, std::span<const std::string_view> known) {
  const std::size_t equals = part.find('=');
  const std::size_t begin = decoded_.size();
  if (!PercentDecode(part.substr(0, equals), decoded_)) {
    return FailField("", "a name in the query has a malformed percent-escape; write %25 for a percent sign");
  }
  const std::string_view name = std::string_view(decoded_).substr(begin);
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    return FailField(ShownName(name), "the query parameter " + DescribeUnknownName(name, known));
  }
  if (Find(name)) return FailField(std::string(name), "the query parameter is given twice");
  if (count_ == kParametersMax) return FailField("", "the query has more than 16 parameters");

  const std::size_t value_begin = decoded_.size();
  if (equals != std::string_view::npos && !DecodeQueryValue(part.substr(equals + 1), decoded_)) {
    return FailField(std::string(name), "has a malformed percent-escape; write %25 for a percent sign");
  }
  const std::string_view value = std::string_view(decoded_).substr(value_begin);
  if (value.find('\0') != std::string_view::npos) return FailField(std::string(name), "contains a NUL");
  if (!IsValidUtf8(value)) return FailField(std::string(name), "is not UTF-8");
  parameters_[count_++] = {name, value};
  return {};
}

std::optional<std::string_view> QueryParameters::Find(std::string_view name) const {
  for (std::size_t i = 0; i < count_; ++i) {
    if (parameters_[i].name == name) return parameters_[i].value;
  }
  return std::nullopt;
}

Result<std::int64_t> QueryParameters::Integer(std::string_view name, std::int64_t absent, std::int64_t min,
                                              std::int64_t max) const {
  const auto text = Find(name);
  if (!text) return absent;
  const auto number = ParseDecimal(*text);
  if (!number || *number < min || *number > max) {
    return FailField(std::string(name),
                     "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return *number;
}

std::optional<std::int64_t> ParseDecimal(std::string_view text) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
  if (text[0] == '0' && text.size() > 1) return std::nullopt;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace muster
