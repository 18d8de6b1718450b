#include "base/toml_source.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/check.h"

namespace muster {
namespace {

std::unexpected<Error> Refuse(const std::string& source, const std::string& name, const std::string& what) {
  Error error{.reason = Reason::kInvalidArgument, .message = source + ": " + name + " " + what};
  error.violations.push_back({name, what});
  return Fail(std::move(error));
}

constexpr int kSectionsMax = 16;  // inside each other

// The text of a scalar as OptionRegistry takes it; nothing for dates, times and floating-point numbers, which no option
// is.
std::optional<std::string> ScalarText(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return std::nullopt;
}

// How an option of a type is written in TOML.
struct Spelling {
  bool fits;
  std::string_view expected;
};

Spelling SpellingOf(OptionType type, const toml::node& node) {
  switch (type) {
    case OptionType::kInteger:
      return {node.is_integer(), "must be a whole number, without quotes"};
    case OptionType::kBytes:
      return {node.is_integer() || node.is_string(), "must be a number of bytes, such as 4096 or \"64 KiB\""};
    case OptionType::kDuration:
      return {node.is_string(), "must be a duration in quotes, such as \"250ms\", \"10s\", \"5m\" or \"24h\""};
    case OptionType::kString:
      return {node.is_string(), "must be a string in quotes"};
    case OptionType::kBoolean:
      return {node.is_boolean(), "must be true or false, without quotes"};
    case OptionType::kStrings:
      return {node.is_array(), "must be a list of strings, such as [\"a\", \"b\"]"};
    case OptionType::kTables:
      return {node.is_array(), "must be tables, each headed by its name in double brackets"};
  }
  MUSTER_UNREACHABLE("an option type outside its enumeration");
}

class TomlLoader {
 public:
  TomlLoader(const std::string& path, OptionRegistry& options) : path_(path), options_(options) {}

  // `depth` is how many sections `table` is in.
  Result<void> Load(const toml::table& table, const std::string& name, int depth) {
    if (depth > kSectionsMax) return Refuse(Source(table), name, "is not an option: it is in too many sections");
    if (table.empty() && !name.empty() && !IsSection(name)) return options_.Set(name, "", Source(table));
    for (const auto& [key, node] : table) {
      MUSTER_TRY(LoadNode(node, name.empty() ? std::string(key) : name + "." + std::string(key), depth));
    }
    return {};
  }

 private:
  std::string Source(const toml::node& node) const { return path_ + ":" + std::to_string(node.source().begin.line); }

  bool IsSection(const std::string& name) const {
    return std::ranges::any_of(options_.Explain(), [section = name + "."](const OptionRegistry::Current& current) {
      return current.spec->name.starts_with(section);
    });
  }

  Result<void> LoadNode(const toml::node& node, const std::string& name, int depth) {
    const OptionSpec* spec = options_.Find(name);
    if (spec == nullptr) {
      if (const auto* table = node.as_table()) return Load(*table, name, depth + 1);
      return options_.Set(name, "", Source(node));  // says that there is none, and which is near
    }
    if (spec->type == OptionType::kTables) return LoadTables(node, *spec);
    MUSTER_ASSIGN(OptionTable::Cell cell, MakeCell(node, name, *spec));
    if (auto* list = std::get_if<std::vector<std::string>>(&cell.value)) {
      return options_.SetList(name, std::move(*list), cell.source);
    }
    return options_.Set(name, std::get<std::string>(cell.value), cell.source);
  }

  // The value of `node` as the type of `spec` takes it; `name` is for messages.
  Result<OptionTable::Cell> MakeCell(const toml::node& node, const std::string& name, const OptionSpec& spec) const {
    const Spelling spelling = SpellingOf(spec.type, node);
    if (!spelling.fits) return Refuse(Source(node), name, std::string(spelling.expected));
    OptionTable::Cell cell{.name = spec.name, .value = {}, .source = Source(node)};
    if (const auto* array = node.as_array()) {
      std::vector<std::string> texts;
      for (const toml::node& element : *array) {
        const auto* text = element.as_string();
        if (text == nullptr) return Refuse(Source(element), name, std::string(spelling.expected));
        texts.push_back(text->get());
      }
      cell.value = std::move(texts);
    } else {
      cell.value = ScalarText(node).value();
    }
    return cell;
  }

  Result<void> LoadTables(const toml::node& node, const OptionSpec& spec) {
    const std::string expected(SpellingOf(OptionType::kTables, node).expected);
    const auto* array = node.as_array();
    if (array == nullptr) return Refuse(Source(node), spec.name, expected);
    std::vector<OptionTable> tables;
    for (const toml::node& element : *array) {
      const auto* table = element.as_table();
      if (table == nullptr) return Refuse(Source(element), spec.name, expected);
      const std::string path = spec.name + "[" + std::to_string(tables.size()) + "].";
      OptionTable& out = tables.emplace_back();
      for (const auto& [key, value] : *table) {
        const auto column = std::ranges::find(spec.columns, std::string_view(key), &OptionSpec::name);
        if (column == spec.columns.end()) {
          out.cells.push_back({std::string(key), std::string(), Source(value)});  // refused by name, with the nearest
          continue;
        }
        MUSTER_ASSIGN(OptionTable::Cell cell, MakeCell(value, path + std::string(key), *column));
        out.cells.push_back(std::move(cell));
      }
    }
    return options_.SetTables(spec.name, tables, Source(node));
  }

  const std::string& path_;
  OptionRegistry& options_;
};

Result<std::string> ReadWhole(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text(kConfigurationBytesMax + 1, '\0');
  if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad() || (file.fail() && !file.eof())) {
    return Fail(Reason::kInvalidArgument,
                "cannot read the configuration file " + path + ": " +
                    (errno != 0 ? std::generic_category().message(errno) : "not a readable file"));
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kConfigurationBytesMax) {
    return Fail(Reason::kInvalidArgument, "the configuration file " + path + " is larger than " +
                                              std::to_string(kConfigurationBytesMax) + " bytes; is it the right one?");
  }
  return text;
}

std::vector<std::string> OptionNames(const OptionRegistry& options) {
  std::vector<std::string> names;
  for (const OptionRegistry::Current& current : options.Explain()) names.push_back(current.spec->name);
  return names;
}

}  // namespace

Result<void> LoadToml(const std::string& path, OptionRegistry& options) {
  MUSTER_ASSIGN(const std::string text, ReadWhole(path));
  toml::table document;
  try {
    document = toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    return Fail(Reason::kInvalidArgument, path + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) +
                                              ": " + std::string(error.description()));
  }
  return TomlLoader(path, options).Load(document, "", 0);
}

Result<void> LoadEnvironment(const char* const* environment, OptionRegistry& options) {
  constexpr std::string_view kPrefix = "MUSTER_";
  constexpr std::array<std::string_view, 2> kOfClients = {"MUSTER_SERVER", "MUSTER_KEY_FILE"};
  for (; *environment != nullptr; ++environment) {
    const std::string_view variable(*environment);
    if (!variable.starts_with(kPrefix)) continue;
    const std::size_t equals = variable.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = variable.substr(0, equals);
    if (std::ranges::find(kOfClients, name) != kOfClients.end()) continue;

    std::string option;
    for (std::string_view rest = name.substr(kPrefix.size()); !rest.empty();) {
      const bool is_dot = rest.starts_with("__");
      const char c = rest.front();
      option += is_dot ? '.' : static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
      rest.remove_prefix(is_dot ? 2 : 1);
    }
    if (name.find("__") == std::string_view::npos && NearestWord(option, OptionNames(options)).empty()) continue;
    MUSTER_TRY(options.Set(option, variable.substr(equals + 1), "environment " + std::string(name)));
  }
  return {};
}

}  // namespace muster
