#include "base/options.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>

#include "base/check.h"
#include "base/option_text.h"

namespace muster {
namespace {

constexpr std::size_t kTablesMax = 1'000;          // of one repeated table
constexpr std::size_t kMistypedBytesMax = 128;     // longer words get no suggestion
constexpr std::size_t kQuotedValueBytesMax = 100;  // what a message repeats of a wrong value

bool IsOptionName(std::string_view name) {
  bool begins_word = true;
  char previous = '.';
  for (const char c : name) {
    const bool is_letter = c >= 'a' && c <= 'z';
    const bool is_inner = (c >= '0' && c <= '9') || c == '_' || c == '.';
    if (!is_letter && (begins_word || !is_inner)) return false;
    if (previous == '_' && (c == '_' || c == '.')) return false;
    begins_word = c == '.';
    previous = c;
  }
  return !begins_word && previous != '_';
}

// Names that would hold a secret itself.
bool NamesSecret(std::string_view name) {
  constexpr std::array kSecrets = {"key", "secret", "password", "passphrase"};
  return std::ranges::any_of(kSecrets, [name](std::string_view secret) {
    return name.ends_with(secret) && (name.size() == secret.size() || name[name.size() - secret.size() - 1] == '.' ||
                                      name[name.size() - secret.size() - 1] == '_');
  });
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ", ";
    text += word;
  }
  return text;
}

std::string BoundsText(OptionBounds bounds, const std::function<std::string(std::int64_t)>& show) {
  const bool has_min = bounds.min != INT64_MIN;
  const bool has_max = bounds.max != INT64_MAX;
  if (has_min && has_max) return show(bounds.min) + " to " + show(bounds.max);
  if (has_min) return "at least " + show(bounds.min);
  if (has_max) return "at most " + show(bounds.max);
  return "";
}

// Between commas, without the blanks around them; nothing at all is the empty list.
std::vector<std::string> SplitList(std::string_view text) {
  std::vector<std::string> words;
  if (text.empty()) return words;
  while (true) {
    const std::size_t comma = text.find(',');
    std::string_view word = text.substr(0, comma);
    while (word.starts_with(' ')) word.remove_prefix(1);
    while (word.ends_with(' ')) word.remove_suffix(1);
    words.emplace_back(word);
    if (comma == std::string_view::npos) return words;
    text.remove_prefix(comma + 1);
  }
}

// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours cost one each.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, substitution});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string_view OptionTypeName(OptionType type) {
  switch (type) {
    case OptionType::kInteger:
      return "integer";
    case OptionType::kBytes:
      return "bytes";
    case OptionType::kDuration:
      return "duration";
    case OptionType::kString:
      return "string";
    case OptionType::kBoolean:
      return "boolean";
    case OptionType::kStrings:
      return "list of strings";
    case OptionType::kTables:
      return "tables";
  }
  MUSTER_UNREACHABLE("an option type outside its enumeration");
}

std::string EnvironmentName(std::string_view option) {
  std::string name = "MUSTER_";
  for (const char c : option) {
    if (c == '.') {
      name += "__";
    } else {
      name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
  }
  return name;
}

void OptionRegistry::Add(Entry entry) {
  const std::string name = entry.spec.name;
  MUSTER_CHECK(IsOptionName(name) && !NamesSecret(name) && !entry.spec.help.empty());
  for (const auto& [other, unused] : entries_) {
    MUSTER_CHECK(!other.starts_with(name + ".") && !name.starts_with(other + "."));
  }
  entry.spec.default_text = entry.show();
  const bool is_new = entries_.emplace(name, std::move(entry)).second;
  MUSTER_CHECK(is_new);
}

void OptionRegistry::AddNumber(OptionSpec spec, std::int64_t* target, OptionBounds bounds,
                               std::function<Result<std::int64_t>(std::string_view)> parse,
                               std::function<std::string(std::int64_t)> show) {
  MUSTER_CHECK(*target >= bounds.min && *target <= bounds.max);
  spec.bounds = BoundsText(bounds, show);
  auto set = [target, bounds, text = spec.bounds, parse = std::move(parse)](std::string_view value) -> Result<void> {
    MUSTER_ASSIGN(const std::int64_t number, parse(value));
    if (number < bounds.min || number > bounds.max) return Fail(Reason::kInvalidArgument, "must be " + text);
    *target = number;
    return {};
  };
  Add({.spec = std::move(spec),
       .show = [target, show = std::move(show)] { return show(*target); },
       .set = std::move(set)});
}

void OptionRegistry::AddInteger(std::string name, std::int64_t* target, std::string help, OptionBounds bounds,
                                bool restart) {
  AddNumber({.name = std::move(name), .type = OptionType::kInteger, .help = std::move(help), .restart = restart},
            target, bounds, ParseInteger, [](std::int64_t number) { return std::to_string(number); });
}

void OptionRegistry::AddBytes(std::string name, std::int64_t* target, std::string help, OptionBounds bounds,
                              bool restart) {
  bounds.min = std::max<std::int64_t>(bounds.min, 0);
  AddNumber({.name = std::move(name), .type = OptionType::kBytes, .help = std::move(help), .restart = restart}, target,
            bounds, ParseBytes, ShowBytes);
}

void OptionRegistry::AddDuration(std::string name, std::int64_t* target_ms, std::string help, OptionBounds bounds,
                                 bool restart) {
  bounds.min = std::max<std::int64_t>(bounds.min, 0);
  AddNumber({.name = std::move(name), .type = OptionType::kDuration, .help = std::move(help), .restart = restart},
            target_ms, bounds, ParseMilliseconds, ShowMilliseconds);
}

void OptionRegistry::AddString(std::string name, std::string* target, std::string help,
                               std::vector<std::string> choices, bool restart) {
  OptionSpec spec = {.name = std::move(name), .type = OptionType::kString, .help = std::move(help), .restart = restart};
  if (!choices.empty()) {
    MUSTER_CHECK(std::ranges::find(choices, *target) != choices.end());
    spec.bounds = "one of " + Joined(choices);
  }
  auto set = [target, choices = std::move(choices)](std::string_view text) -> Result<void> {
    MUSTER_TRY(CheckText(text));
    if (!choices.empty() && std::ranges::find(choices, text) == choices.end()) {
      const std::string near = NearestWord(text, choices);
      return Fail(Reason::kInvalidArgument,
                  "must be one of " + Joined(choices) + (near.empty() ? "" : " (did you mean " + near + "?)"));
    }
    *target = text;
    return {};
  };
  Add({.spec = std::move(spec), .show = [target] { return *target; }, .set = std::move(set)});
}

void OptionRegistry::AddBoolean(std::string name, bool* target, std::string help, bool restart) {
  auto set = [target](std::string_view text) -> Result<void> {
    MUSTER_ASSIGN(*target, ParseBoolean(text));
    return {};
  };
  Add({.spec = {.name = std::move(name), .type = OptionType::kBoolean, .help = std::move(help), .restart = restart},
       .show = [target] { return *target ? "true" : "false"; },
       .set = std::move(set)});
}

void OptionRegistry::AddStrings(std::string name, std::vector<std::string>* target, std::string help, bool restart) {
  auto set_list = [target](std::vector<std::string> values) -> Result<void> {
    for (const std::string& value : values) {
      MUSTER_TRY(CheckText(value));
      if (value.empty()) return Fail(Reason::kInvalidArgument, "must not have empty entries");
    }
    *target = std::move(values);
    return {};
  };
  Add({.spec = {.name = std::move(name), .type = OptionType::kStrings, .help = std::move(help), .restart = restart},
       .show = [target] { return Joined(*target); },
       .set = [set_list](std::string_view text) { return set_list(SplitList(text)); },
       .set_list = set_list});
}

void OptionRegistry::AddTablesOf(std::string name, std::string help, const OptionRegistry& columns, bool restart,
                                 std::function<std::size_t()> count,
                                 std::function<Result<void>(const std::string&, const std::vector<OptionTable>&)> set) {
  OptionSpec spec = {.name = std::move(name), .type = OptionType::kTables, .help = std::move(help), .restart = restart};
  for (const auto& [column, entry] : columns.entries_) spec.columns.push_back(entry.spec);
  Add({.spec = std::move(spec),
       .show = [count = std::move(count)] { return std::to_string(count()) + (count() == 1 ? " table" : " tables"); },
       .set_tables = std::move(set)});
}

Result<void> OptionRegistry::Refuse(std::string_view name, std::string_view source, std::string_view what) const {
  std::string field = path_ + std::string(name);
  Error error{.reason = Reason::kInvalidArgument,
              .message = std::string(source) + ": " + field + " " + std::string(what)};
  error.violations.push_back({std::move(field), std::string(what)});
  return Fail(std::move(error));
}

Result<OptionRegistry::Entry*> OptionRegistry::FindEntry(std::string_view name, std::string_view source) {
  if (const auto found = entries_.find(name); found != entries_.end()) return &found->second;
  std::vector<std::string> known;
  known.reserve(entries_.size());
  for (const auto& [other, entry] : entries_) known.push_back(other);
  const std::string near = NearestWord(name, known);
  const std::string advice =
      near.empty() ? "; `muster config reference` lists them all" : "; did you mean " + path_ + near + "?";
  return Fail(Refuse(name, source, "is not an option" + advice).error());
}

Result<void> OptionRegistry::Set(std::string_view name, std::string_view text, std::string_view source) {
  MUSTER_ASSIGN(Entry * entry, FindEntry(name, source));
  if (!entry->set)
    return Refuse(name, source, "can only be set in the configuration file, as [[" + path_ + std::string(name) + "]]");
  if (auto set = entry->set(text); !set) {
    const bool can_quote = text.size() <= kQuotedValueBytesMax && CheckText(text).has_value();
    return Refuse(name, source, set.error().message + (can_quote ? ", not \"" + std::string(text) + "\"" : ""));
  }
  entry->source = source;
  return {};
}

Result<void> OptionRegistry::SetList(std::string_view name, std::vector<std::string> values, std::string_view source) {
  MUSTER_ASSIGN(Entry * entry, FindEntry(name, source));
  if (!entry->set_list) return Refuse(name, source, "takes one value, not a list");
  if (auto set = entry->set_list(std::move(values)); !set) return Refuse(name, source, set.error().message);
  entry->source = source;
  return {};
}

Result<void> OptionRegistry::SetTables(std::string_view name, const std::vector<OptionTable>& tables,
                                       std::string_view source) {
  MUSTER_ASSIGN(Entry * entry, FindEntry(name, source));
  if (!entry->set_tables) return Refuse(name, source, "is not a list of tables");
  if (tables.size() > kTablesMax) {
    return Refuse(name, source, "must have at most " + std::to_string(kTablesMax) + " tables");
  }
  MUSTER_TRY(entry->set_tables(path_ + std::string(name), tables));
  entry->source = source;
  return {};
}

Result<void> OptionRegistry::SetCells(const OptionTable& table) {
  for (const OptionTable::Cell& cell : table.cells) {
    if (const auto* text = std::get_if<std::string>(&cell.value)) {
      MUSTER_TRY(Set(cell.name, *text, cell.source));
    } else {
      MUSTER_TRY(SetList(cell.name, std::get<std::vector<std::string>>(cell.value), cell.source));
    }
  }
  return {};
}

const OptionSpec* OptionRegistry::Find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second.spec;
}

std::vector<OptionRegistry::Current> OptionRegistry::Explain() const {
  std::vector<Current> all;
  all.reserve(entries_.size());
  for (const auto& [name, entry] : entries_) all.push_back({&entry.spec, entry.show(), entry.source});
  return all;
}

std::string NearestWord(std::string_view word, const std::vector<std::string>& known) {
  std::string nearest;
  if (word.size() > kMistypedBytesMax) return nearest;
  // Up to a third of it wrong; more is another word.
  std::size_t best = std::max<std::size_t>(word.size() / 3, 1) + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = EditDistance(word, candidate);
    if (distance < best && distance < candidate.size()) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace muster
