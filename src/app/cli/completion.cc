#include "app/cli/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <vector>

#include "app/cli/help.h"

namespace muster {
namespace {

// What can follow the words of a command.
struct Node {
  std::string path;  // "muster member get"
  std::vector<const CLI::App*> commands;
  std::vector<const CLI::Option*> options;
  std::vector<const CLI::Option*> operands;
  std::vector<std::string> topics = {};
};

void Walk(const CLI::App& command, std::vector<Node>& nodes) {
  nodes.push_back(
      {CommandPath(command), VisibleCommands(command), VisibleOptions(command),
       command.get_options([](const CLI::Option* o) { return o->get_positional() && !o->get_group().empty(); })});
  for (const CLI::App* child : VisibleCommands(command)) Walk(*child, nodes);
}

// `muster help` takes the words of every command.
void WalkHelp(const CLI::App& command, const std::string& path, std::vector<Node>& nodes) {
  for (const CLI::App* child : VisibleCommands(command)) {
    const std::string child_path = path + " " + child->get_name();
    nodes.push_back({.path = child_path, .commands = VisibleCommands(*child), .options = {}, .operands = {}});
    WalkHelp(*child, child_path, nodes);
  }
}

std::vector<Node> AllNodes(const CLI::App& root) {
  std::vector<Node> nodes;
  Walk(root, nodes);
  const auto help = std::ranges::find(nodes, "muster help", &Node::path);
  help->commands = VisibleCommands(root);
  help->topics.assign(kHelpTopics.begin(), kHelpTopics.end());
  WalkHelp(root, "muster help", nodes);
  return nodes;
}

std::vector<std::string> Spellings(const CLI::Option& option) {
  std::vector<std::string> spellings;
  for (const std::string& name : option.get_snames()) spellings.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) spellings.push_back("--" + name);
  return spellings;
}

bool TakesValue(const CLI::Option& option) { return option.get_type_size() != 0; }
// Choices, several of them with commas.
bool TakesList(const CLI::Option& option) { return option.get_delimiter() == ',' && !OptionChoices(option).empty(); }
bool TakesFile(const CLI::Option& option) { return option.get_type_name().starts_with("FILE"); }
bool TakesDirectory(const CLI::Option& option) { return option.get_type_name().starts_with("DIR"); }

std::string Join(const std::vector<std::string>& words, std::string_view separator) {
  std::string joined;
  for (const std::string& word : words) {
    if (!joined.empty()) joined += separator;
    joined += word;
  }
  return joined;
}

// First line, for a shell's single quotes.
std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text.substr(0, text.find('\n'))) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

// The `case` patterns of a walk from word to word: "muster member"|"muster member get".
std::string CommandPatterns(const std::vector<Node>& nodes) {
  std::vector<std::string> patterns;
  for (std::size_t i = 1; i < nodes.size(); ++i) patterns.push_back('"' + nodes[i].path + '"');
  return Join(patterns, "|");
}

// The body of a `case "$path $previous"` over the options that take a value; the same in bash and zsh but for how
// values and files are offered.
struct ValueOffers {
  std::function<std::string(const std::vector<std::string>&)> words;
  std::function<std::string(const std::vector<std::string>&)> lists;  // of words, with commas
  std::string files;
  std::string directories;
  std::string nothing;
};
std::string OptionValueCases(const std::vector<Node>& nodes, const ValueOffers& offers) {
  std::string out;
  for (const Node& node : nodes) {
    for (const CLI::Option* option : node.options) {
      if (!TakesValue(*option)) continue;
      std::vector<std::string> patterns;
      for (const std::string& spelling : Spellings(*option)) patterns.push_back('"' + node.path + ' ' + spelling + '"');
      const std::vector<std::string> choices = OptionChoices(*option);
      const std::string offer = TakesList(*option)        ? offers.lists(choices)
                                : !choices.empty()        ? offers.words(choices)
                                : TakesFile(*option)      ? offers.files
                                : TakesDirectory(*option) ? offers.directories
                                                          : offers.nothing;
      out += "    " + Join(patterns, "|") + ") " + offer + "; return ;;\n";
    }
  }
  return out;
}

std::vector<std::string> OperandWords(const Node& node) {
  std::vector<std::string> words = node.topics;
  for (const CLI::Option* operand : node.operands) {
    for (const std::string& choice : OptionChoices(*operand)) words.push_back(choice);
  }
  return words;
}

bool HasFileOperand(const Node& node) {
  for (const CLI::Option* operand : node.operands) {
    if (TakesFile(*operand)) return true;
  }
  return false;
}

}  // namespace

std::string BashCompletion(const CLI::App& root) {
  const std::vector<Node> nodes = AllNodes(root);
  const std::string files = "compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$name\")";
  std::string out =
      "# bash completion for muster; load it with:  source <(muster completion bash)\n"
      "_muster() {\n"
      "  local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD-1]}\" path=muster words=\"\" "
      "list=\"\" i\n"
      "  # --output=j comes as three words\n"
      "  if [[ $current == = ]]; then current=\"\"\n"
      "  elif [[ $previous == = ]]; then previous=\"${COMP_WORDS[COMP_CWORD-2]}\"; fi\n"
      "  # as it is called, whose name is being typed in quotes or with backslashes\n"
      "  local name=\"${current#[\\\"\\']}\"\n"
      "  name=\"${name//\\\\/}\"\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case \"$path ${COMP_WORDS[i]}\" in\n"
      "      " +
      CommandPatterns(nodes) +
      ") path=\"$path ${COMP_WORDS[i]}\" ;;\n"
      "    esac\n"
      "  done\n"
      "  COMPREPLY=()\n"
      "  case \"$path $previous\" in\n";
  out += OptionValueCases(
      nodes,
      {.words =
           [](const auto& words) { return "COMPREPLY=($(compgen -W \"" + Join(words, " ") + "\" -- \"$current\"))"; },
       .lists =
           [](const auto& words) {
             return "[[ $current == *,* ]] && list=\"${current%,*},\"; COMPREPLY=($(compgen -P \"$list\" -W \"" +
                    Join(words, " ") + "\" -- \"${current##*,}\"))";
           },
       .files = files,
       .directories = "compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- \"$name\")",
       .nothing = ":"});
  out += "  esac\n  case \"$path\" in\n";
  for (const Node& node : nodes) {
    std::vector<std::string> words = OperandWords(node);
    words.reserve(words.size() + node.commands.size());
    for (const CLI::App* child : node.commands) words.push_back(child->get_name());
    std::vector<std::string> flags;
    flags.reserve(node.options.size());
    for (const CLI::Option* option : node.options) flags.push_back(Join(Spellings(*option), " "));
    out += "    \"" + node.path + "\")\n      if [[ $current == -* ]]; then words=\"" + Join(flags, " ") +
           "\"; else words=\"" + Join(words, " ") + "\"; fi\n";
    if (HasFileOperand(node)) {
      out += "      if [[ $current != -* ]]; then " + files + "; return; fi\n";
    }
    out += "      ;;\n";
  }
  out +=
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
      "}\n"
      "complete -F _muster muster\n";
  return out;
}

std::string ZshCompletion(const CLI::App& root) {
  const std::vector<Node> nodes = AllNodes(root);
  std::string out =
      "#compdef muster\n"
      "# zsh completion for muster; put it in a directory of $fpath as _muster, or load it with:\n"
      "#   source <(muster completion zsh)\n"
      "_muster() {\n"
      "  local current=\"${words[CURRENT]}\" previous=\"${words[CURRENT-1]}\" command=muster word i\n"
      "  local -a entries\n"
      "  for ((i = 2; i < CURRENT; i++)); do\n"
      "    word=\"${words[i]}\"\n"
      "    case \"$command $word\" in\n"
      "      " +
      CommandPatterns(nodes) +
      ") command=\"$command $word\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"$command $previous\" in\n";
  out += OptionValueCases(nodes,
                          {.words = [](const auto& words) { return "compadd -- " + Join(words, " "); },
                           .lists = [](const auto& words) { return "compset -P '*,'; compadd -- " + Join(words, " "); },
                           .files = "_files",
                           .directories = "_files -/",
                           .nothing = "_message value"});
  out += "  esac\n  case \"$command\" in\n";
  // _describe separates a word from its description at the first colon.
  const auto described = [](const std::string& word, const std::string& description) {
    return "        " + Quoted(word + ":" + description) + "\n";
  };
  for (const Node& node : nodes) {
    out += "    \"" + node.path + "\")\n      if [[ $current == -* ]]; then\n        entries=(\n";
    for (const CLI::Option* option : node.options) {
      for (const std::string& spelling : Spellings(*option)) out += described(spelling, option->get_description());
    }
    out += "        )\n        _describe option entries\n        return\n      fi\n      entries=(\n";
    for (const CLI::App* child : node.commands) out += described(child->get_name(), child->get_description());
    for (const std::string& word : OperandWords(node)) out += described(word, word);
    out += "      )\n      _describe command entries\n";
    if (HasFileOperand(node)) out += "      _files\n";
    out += "      ;;\n";
  }
  out +=
      "  esac\n"
      "}\n"
      "if [[ ${funcstack[1]} == _muster ]]; then _muster \"$@\"; else compdef _muster muster; fi\n";
  return out;
}

std::string FishCompletion(const CLI::App& root) {
  const std::vector<Node> nodes = AllNodes(root);
  std::string out =
      "# fish completion for muster; load it with:  muster completion fish | source\n"
      "function __muster_path\n"
      "  set -l path muster\n"
      "  for word in (commandline -opc)[2..-1]\n"
      "    switch \"$path $word\"\n"
      "      case";
  for (std::size_t i = 1; i < nodes.size(); ++i) out += " " + Quoted(nodes[i].path);
  out +=
      "\n"
      "        set path \"$path $word\"\n"
      "    end\n"
      "  end\n"
      "  echo $path\n"
      "end\n"
      "function __muster_at\n"
      "  test (__muster_path) = \"$argv\"\n"
      "end\n"
      "function __muster_list\n"
      "  set -l before (string replace -r '^--[^=]*=' '' -- (commandline -ct) | string replace -r '[^,]*$' '')\n"
      "  printf '%s\\n' $before$argv\n"
      "end\n"
      "complete -c muster -f\n";
  for (const Node& node : nodes) {
    const std::string at = "complete -c muster -n " + Quoted("__muster_at " + node.path);
    for (const CLI::App* child : node.commands) {
      out += at + " -a " + child->get_name() + " -d " + Quoted(child->get_description()) + "\n";
    }
    if (const auto words = OperandWords(node); !words.empty()) out += at + " -a " + Quoted(Join(words, " ")) + "\n";
    if (HasFileOperand(node)) out += at + " -F\n";
    for (const CLI::Option* option : node.options) {
      out += at;
      for (const std::string& name : option->get_snames()) out += " -s " + name;
      for (const std::string& name : option->get_lnames()) out += " -l " + name;
      const std::vector<std::string> choices = OptionChoices(*option);
      if (TakesList(*option)) {
        out += " -x -a " + Quoted("(__muster_list " + Join(choices, " ") + ")");
      } else if (!choices.empty()) {
        out += " -x -a " + Quoted(Join(choices, " "));
      } else if (TakesFile(*option)) {
        out += " -r -F";
      } else if (TakesDirectory(*option)) {
        out += " -x -a '(__fish_complete_directories)'";
      } else if (TakesValue(*option)) {
        out += " -x";
      }
      out += " -d " + Quoted(option->get_description()) + "\n";
    }
  }
  return out;
}

}  // namespace muster
