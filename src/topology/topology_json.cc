#include "topology/topology_json.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <utility>

#include "base/encoding.h"

namespace muster {

struct StrictJson::Value {
  simdjson::ondemand::value json;
};

struct StrictJson::State {
  explicit State(std::string_view content) : text(content) {}

  std::string_view view() const { return {text.data(), text.size()}; }

  simdjson::padded_string text;
  simdjson::ondemand::parser parser;
};

namespace {

std::string NotJson(simdjson::error_code error) {
  return "not valid JSON (" + std::string(simdjson::error_message(error)) + ")";
}

}  // namespace

StrictJson::StrictJson(std::string path, std::string_view text)
    : path_(std::move(path)), state_(std::make_unique<State>(text)) {}
StrictJson::~StrictJson() = default;

Result<void> StrictJson::Read(const Names& names, const FieldReader& read) {
  simdjson::ondemand::document document;
  if (auto error = state_->parser.iterate(state_->text).get(document)) return Fail(At(0, NotJson(error)));
  Value root;
  if (auto error = document.get_value().get(root.json)) return Fail(At(0, NotJson(error)));
  MUSTER_TRY(ReadObject(root, names, read));
  if (const char* rest = nullptr; !document.current_location().get(rest)) {
    return Fail(At(static_cast<std::size_t>(rest - state_->text.data()), "something follows the end of the document"));
  }
  return {};
}

Error StrictJson::At(std::size_t offset, std::string_view what) const {
  const std::string_view before = state_->view().substr(0, std::min(offset, state_->text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  const std::size_t column = before.size() - line_start + 1;
  return Error{.reason = Reason::kInternal,
               .message = path_ + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + std::string(what) +
                          "; correct the file or put back a copy of it"};
}

std::size_t StrictJson::Offset(Value& value) const {
  const char* location = nullptr;
  if (value.json.current_location().get(location) || location < state_->text.data()) return state_->text.size();
  return static_cast<std::size_t>(location - state_->text.data());
}

Error StrictJson::Wrong(std::size_t offset, std::string_view name, std::string_view wanted) const {
  return At(offset, "\"" + std::string(name) + "\" must be " + std::string(wanted));
}

Result<void> StrictJson::ReadObject(Value& value, const Names& names, const FieldReader& read) const {
  const std::size_t begin = Offset(value);
  simdjson::ondemand::object object;
  if (value.json.get_object().get(object)) return Fail(At(begin, "an object is wanted here"));
  std::set<std::string, std::less<>> seen;
  std::size_t last = begin;
  for (auto field : object) {
    std::string_view name;
    if (auto error = field.unescaped_key().get(name)) return Fail(At(last, NotJson(error)));
    Value content;
    if (auto error = field.value().get(content.json)) return Fail(At(last, NotJson(error)));
    last = Offset(content);
    const bool known = std::ranges::any_of(
        names, [&](std::string_view each) { return each.substr(each.starts_with('?') ? 1 : 0) == name; });
    if (!known) return Fail(At(last, "unknown field \"" + std::string(name) + "\""));
    if (!seen.emplace(name).second) return Fail(At(last, "\"" + std::string(name) + "\" is there twice"));
    MUSTER_TRY(read(name, content));
  }
  for (std::string_view name : names) {
    if (!name.starts_with('?') && !seen.contains(name)) {
      return Fail(At(begin, "this object lacks \"" + std::string(name) + "\""));
    }
  }
  return {};
}

Result<void> StrictJson::ReadArray(Value& value, std::string_view name, const ElementReader& read) const {
  const std::size_t begin = Offset(value);
  simdjson::ondemand::array array;
  if (value.json.get_array().get(array)) return Fail(Wrong(begin, name, "an array"));
  for (auto element : array) {
    Value content;
    if (auto error = element.get(content.json)) return Fail(At(begin, NotJson(error)));
    MUSTER_TRY(read(content));
  }
  return {};
}

Result<void> StrictJson::ReadText(Value& value, std::string_view name, std::string& target) const {
  const std::size_t offset = Offset(value);
  std::string_view text;
  if (value.json.get_string().get(text)) return Fail(Wrong(offset, name, "a string"));
  target = text;
  return {};
}

Result<void> StrictJson::ReadBoolean(Value& value, std::string_view name, bool& target) const {
  const std::size_t offset = Offset(value);
  if (value.json.get_bool().get(target)) return Fail(Wrong(offset, name, "true or false"));
  return {};
}

Result<void> StrictJson::ReadNumber64(Value& value, std::string_view name, std::int64_t& target) const {
  const std::size_t offset = Offset(value);
  std::string text;
  MUSTER_TRY(ReadText(value, name, text));
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), target);
  if (error != std::errc() || end != text.data() + text.size() || target < 1) {
    return Fail(Wrong(offset, name, "a positive whole number in quotes"));
  }
  return {};
}

Result<void> StrictJson::ReadNumber(Value& value, std::string_view name, std::int64_t low, std::int64_t high,
                                    std::int64_t& target) const {
  const std::size_t offset = Offset(value);
  if (value.json.get_int64().get(target) || target < low || target > high) {
    return Fail(Wrong(offset, name, "a whole number from " + std::to_string(low) + " to " + std::to_string(high)));
  }
  return {};
}

Result<void> StrictJson::ReadTime(Value& value, std::string_view name, Timestamp& target) const {
  const std::size_t offset = Offset(value);
  std::string text;
  MUSTER_TRY(ReadText(value, name, text));
  const std::optional<std::int64_t> micros = ParseTimestamp(text);
  if (!micros) return Fail(Wrong(offset, name, "a time as in \"2026-01-02T03:04:05Z\""));
  target = Timestamp(Duration(*micros));
  return {};
}

Result<void> StrictJson::ReadWord(Value& value, std::string_view name, const std::vector<std::string_view>& words,
                                  std::size_t& target) const {
  const std::size_t offset = Offset(value);
  std::string text;
  MUSTER_TRY(ReadText(value, name, text));
  const auto found = std::ranges::find(words, text);
  if (found == words.end()) {
    std::string wanted;
    for (const std::string_view word : words) wanted += (wanted.empty() ? "" : ", ") + std::string(word);
    return Fail(Wrong(offset, name, "one of " + wanted));
  }
  target = static_cast<std::size_t>(found - words.begin());
  return {};
}

}  // namespace muster
