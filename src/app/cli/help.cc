#include "app/cli/help.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace muster {
namespace {

constexpr std::size_t kHelpColumns = 100;
constexpr std::size_t kNameColumnsMax = 30;

// `text` broken at spaces, each line indented; its own line feeds stay.
std::string Wrap(std::string_view text, std::size_t indent) {
  std::string out;
  std::size_t column = indent;
  bool line_empty = true;
  std::size_t i = 0;
  while (i < text.size()) {
    if (text[i] == '\n') {
      out += '\n';
      out.append(indent, ' ');
      column = indent;
      line_empty = true;
      ++i;
      continue;
    }
    const std::size_t end = std::min({text.find(' ', i), text.find('\n', i), text.size()});
    const std::string_view word = text.substr(i, end - i);
    if (!line_empty && column + 1 + word.size() > kHelpColumns) {
      out += '\n';
      out.append(indent, ' ');
      column = indent;
      line_empty = true;
    }
    if (!line_empty) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    line_empty = false;
    i = end < text.size() && text[end] == ' ' ? end + 1 : end;
  }
  return out;
}

std::string OptionNames(const CLI::Option& option) {
  std::string names;
  for (const std::string& name : option.get_snames()) names += (names.empty() ? "-" : ", -") + name;
  for (const std::string& name : option.get_lnames()) names += (names.empty() ? "    --" : ", --") + name;
  return names;
}

// "N" of "N:INT in [1 - 64]", all of "HOST:PORT": bounds follow the name behind a colon, and are more than one word.
std::string TypeWithoutBounds(const std::string& type) {
  const bool has_bounds = type.find(' ') != std::string::npos;
  return has_bounds ? type.substr(0, type.find(':')) : type;
}

std::string OptionOperand(const CLI::Option& option) {
  if (option.get_type_size() == 0) return "";
  const std::vector<std::string> choices = OptionChoices(option);
  if (choices.empty()) return TypeWithoutBounds(option.get_type_name());
  std::string words;
  for (const std::string& choice : choices) words += (words.empty() ? "" : "|") + choice;
  return words;
}

void AppendEntry(std::string& out, const std::string& name, const std::string& description, std::size_t column) {
  out += "  " + name;
  if (name.size() + 2 > column - 2) {
    out += "\n" + std::string(column, ' ');
  } else {
    out.append(column - name.size() - 2, ' ');
  }
  out += Wrap(description, column) + "\n";
}

struct Entry {
  std::string name;
  std::string description;
};

void AppendEntries(std::string& out, const std::string& heading, const std::vector<Entry>& entries) {
  if (entries.empty()) return;
  std::size_t widest = 0;
  for (const Entry& entry : entries) widest = std::max(widest, std::min(entry.name.size(), kNameColumnsMax));
  out += "\n" + heading + ":\n";
  for (const Entry& entry : entries) AppendEntry(out, entry.name, entry.description, widest + 4);
}

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

// Sections keep the order in which their groups were first declared.
template <typename Item, typename Describe>
void AppendGroups(std::string& out, const std::vector<Item>& items, Describe describe) {
  std::vector<std::string> groups;
  for (const Item& item : items) {
    if (std::ranges::find(groups, item->get_group()) == groups.end()) groups.push_back(item->get_group());
  }
  for (const std::string& group : groups) {
    std::vector<Entry> entries;
    for (const Item& item : items) {
      if (item->get_group() == group) entries.push_back(describe(*item));
    }
    AppendEntries(out, group, entries);
  }
}

class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* command, std::string /*name*/, CLI::AppFormatMode /*mode*/) const override {
    std::string out = Wrap(command->get_description(), 0) + "\n\nUsage: " + UsageLine(*command) + "\n";
    std::vector<Entry> operands;
    for (const CLI::Option* option :
         command->get_options([](const CLI::Option* o) { return o->get_positional() && !o->get_group().empty(); })) {
      operands.push_back({OptionOperandName(*option), option->get_description()});
    }
    AppendEntries(out, "Operands", operands);
    AppendGroups(out, VisibleCommands(*command),
                 [](const CLI::App& child) { return Entry{child.get_name(), FirstLine(child.get_description())}; });
    AppendGroups(out, VisibleOptions(*command), [](const CLI::Option& option) {
      const std::string operand = OptionOperand(option);
      return Entry{OptionNames(option) + (operand.empty() ? "" : " " + operand), option.get_description()};
    });
    if (!command->get_footer().empty()) out += "\n" + command->get_footer() + "\n";
    return out;
  }

  static std::string OptionOperandName(const CLI::Option& option) { return option.get_name(true); }
};

void AppendReference(std::string& out, const CLI::App& command) {
  out += "\n## " + CommandPath(command) + "\n\n```\n" + command.get_formatter()->make_help(&command, "", {}) + "```\n";
  for (const CLI::App* child : VisibleCommands(command)) AppendReference(out, *child);
}

}  // namespace

std::shared_ptr<CLI::FormatterBase> MakeHelpFormatter() { return std::make_shared<HelpFormatter>(); }

std::string CommandPath(const CLI::App& command) {
  if (command.get_parent() == nullptr) return "muster";
  return CommandPath(*command.get_parent()) + " " + command.get_name();
}

std::string UsageLine(const CLI::App& command) {
  std::string usage = CommandPath(command);
  if (!VisibleCommands(command).empty()) return usage + " COMMAND";
  usage += " [OPTIONS]";
  for (const CLI::Option* option :
       command.get_options([](const CLI::Option* o) { return o->get_positional() && !o->get_group().empty(); })) {
    std::string name = option->get_name(true);
    if (option->get_items_expected_max() > 1) name += "...";
    usage += option->get_required() ? " " + name : " [" + name + "]";
  }
  return usage;
}

std::vector<std::string> OptionChoices(const CLI::Option& option) {
  // The type name of an option with CLI::IsMember ends in its set: "TEXT:{table,json,yaml}".
  const std::string type = option.get_type_name();
  const std::size_t open = type.find('{');
  const std::size_t close = type.rfind('}');
  std::vector<std::string> choices;
  if (open == std::string::npos || close == std::string::npos) return choices;
  for (const std::string& word : CLI::detail::split(type.substr(open + 1, close - open - 1), ',')) {
    choices.push_back(CLI::detail::trim_copy(word));
  }
  return choices;
}

std::string CommandReference(const CLI::App& root) {
  std::string out = "# Command line\n\nGenerated by `muster reference cli` from the commands themselves.\n";
  AppendReference(out, root);
  return out;
}

std::vector<const CLI::App*> VisibleCommands(const CLI::App& command) {
  return command.get_subcommands([](const CLI::App* child) { return !child->get_group().empty(); });
}

std::vector<const CLI::Option*> VisibleOptions(const CLI::App& command) {
  return command.get_options(
      [](const CLI::Option* option) { return option->nonpositional() && !option->get_group().empty(); });
}

}  // namespace muster
