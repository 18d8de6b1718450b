#include "app/output/json_text.h"

#include <simdjson.h>

#include <array>
#include <cctype>

#include "domain/json_writer.h"

namespace muster {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

void AppendQuoted(std::string& out, std::string_view text) {
  out += '"';
  AppendJsonEscaped(out, text);
  out += '"';
}

void AppendScalar(std::string& out, const element& value) {
  switch (value.type()) {
    case element_type::INT64:
      out += std::to_string(value.get_int64().value_unsafe());
      break;
    case element_type::UINT64:
      out += std::to_string(value.get_uint64().value_unsafe());
      break;
    case element_type::DOUBLE: {
      JsonWriter(out).Double(value.get_double().value_unsafe());
      break;
    }
    case element_type::BOOL:
      out += value.get_bool().value_unsafe() ? "true" : "false";
      break;
    default:
      out += "null";
  }
}

void Indent(std::string& out, std::size_t depth) { out.append(depth * 2, ' '); }

bool IsEmpty(const element& value) {
  if (value.is_object()) return value.get_object().value_unsafe().size() == 0;
  return value.is_array() && value.get_array().value_unsafe().size() == 0;
}

void AppendIndented(std::string& out, const element& value, std::size_t depth) {
  if (value.is_string()) return AppendQuoted(out, value.get_string().value_unsafe());
  const bool is_object = value.is_object();
  if (!is_object && !value.is_array()) return AppendScalar(out, value);
  out += is_object ? '{' : '[';
  bool first = true;
  const auto next = [&] {
    out += first ? "\n" : ",\n";
    first = false;
    Indent(out, depth + 1);
  };
  if (is_object) {
    for (const auto [key, child] : value.get_object().value_unsafe()) {
      next();
      AppendQuoted(out, key);
      out += ": ";
      AppendIndented(out, child, depth + 1);
    }
  } else {
    for (const element child : value.get_array().value_unsafe()) {
      next();
      AppendIndented(out, child, depth + 1);
    }
  }
  if (!first) {
    out += '\n';
    Indent(out, depth);
  }
  out += is_object ? '}' : ']';
}

// Plain only when no YAML reader could see anything but a string: letters first, then letters, digits and a few
// harmless signs, and none of the words that some version of YAML takes for a boolean, null or number.
bool IsPlainInYaml(std::string_view text) {
  static constexpr std::array<std::string_view, 13> kReserved = {"null", "true", "false", "yes", "no", "on", "off",
                                                                 "y",    "n",    "inf",   "nan", "e",  "o"};
  if (text.empty() || std::isalpha(static_cast<unsigned char>(text.front())) == 0 || text.back() == ' ') return false;
  std::string lower;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool harmless = std::isalnum(byte) != 0 || c == '_' || c == '-' || c == '.' || c == '/' || c == ' ';
    if (!harmless) return false;
    lower += static_cast<char>(std::tolower(byte));
  }
  for (const std::string_view word : kReserved) {
    if (lower == word) return false;
  }
  return true;
}

void AppendYamlString(std::string& out, std::string_view text) {
  if (IsPlainInYaml(text)) {
    out += text;
  } else {
    AppendQuoted(out, text);  // JSON's escapes are a subset of YAML's double-quoted style
  }
}

void AppendYaml(std::string& out, const element& value, std::size_t depth);

// What follows "key:" or "-" on the same line, or the block below it.
void AppendYamlChild(std::string& out, const element& value, std::size_t depth) {
  if (IsEmpty(value)) {
    out += value.is_object() ? " {}\n" : " []\n";
  } else if (value.is_object() || value.is_array()) {
    out += '\n';
    AppendYaml(out, value, depth);
  } else {
    out += ' ';
    if (value.is_string()) {
      AppendYamlString(out, value.get_string().value_unsafe());
    } else {
      AppendScalar(out, value);
    }
    out += '\n';
  }
}

void AppendYaml(std::string& out, const element& value, std::size_t depth) {
  if (value.is_object()) {
    for (const auto [key, child] : value.get_object().value_unsafe()) {
      Indent(out, depth);
      AppendYamlString(out, key);
      out += ':';
      AppendYamlChild(out, child, depth + 1);
    }
    return;
  }
  for (const element child : value.get_array().value_unsafe()) {
    Indent(out, depth);
    out += '-';
    if (child.is_object() && !IsEmpty(child)) {
      // The first key stands on the dash's line.
      std::string block;
      AppendYaml(block, child, depth + 1);
      out += ' ';
      out.append(block, (depth + 1) * 2);
    } else {
      AppendYamlChild(out, child, depth + 1);
    }
  }
}

Outcome<element> ParseAny(simdjson::dom::parser& parser, std::string_view json) {
  element root;
  if (const auto error = parser.parse(simdjson::padded_string(json)).get(root); error != simdjson::SUCCESS) {
    return Fails(ExitCode::kFailure, std::string("the answer is not JSON: ") + simdjson::error_message(error));
  }
  return root;
}

}  // namespace

Outcome<std::string> IndentJson(std::string_view json) {
  simdjson::dom::parser parser;
  const auto root = ParseAny(parser, json);
  if (!root) return std::unexpected(root.error());
  std::string out;
  AppendIndented(out, *root, 0);
  out += '\n';
  return out;
}

Outcome<std::string> JsonToYaml(std::string_view json) {
  simdjson::dom::parser parser;
  const auto root = ParseAny(parser, json);
  if (!root) return std::unexpected(root.error());
  std::string out;
  if (IsEmpty(*root) || !(root->is_object() || root->is_array())) {
    AppendYamlChild(out, *root, 0);
    out.erase(0, 1);
  } else {
    AppendYaml(out, *root, 0);
  }
  return out;
}

}  // namespace muster
