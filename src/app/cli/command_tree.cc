#include "app/cli/command_tree.h"

#include <CLI/CLI.hpp>

#include "app/cli/help.h"
#include "app/commands/commands.h"
#include "base/options.h"

namespace muster {
namespace {

// The command whose words came last.
const CLI::App& Innermost(const CLI::App& root) {
  const auto selected = root.get_subcommands();
  return selected.empty() ? root : Innermost(*selected.front());
}

// Messages begin with the program's name already.
std::string WithoutProgram(const std::string& path) {
  const std::size_t space = path.find(' ');
  return space == std::string::npos ? path : path.substr(space + 1);
}

std::string Suggestion(const std::string& word, const std::vector<std::string>& known) {
  const std::string nearest = NearestWord(word, known);
  return nearest.empty() ? "" : "; did you mean '" + nearest + "'?";
}

}  // namespace

CLI::App* AddCommandGroup(CLI::App& parent, const std::string& name, const std::string& description) {
  CLI::App* group = parent.add_subcommand(name, description);
  group->require_subcommand(0, 1);
  return group;
}

std::unique_ptr<CLI::App> MakeCommandTree(CommandContext& context) {
  auto root = std::make_unique<CLI::App>(
      "muster, a member directory: any identity in, the member and all bound accounts out.", "muster");
  root->formatter(MakeHelpFormatter());
  root->set_help_flag("-h,--help", "Print help, also after a command");
  root->get_help_ptr()->group("Options");
  root->option_defaults()->group("Options");
  root->require_subcommand(0, 1);
  AddServeCommand(*root, context);
  AddDemoCommand(*root, context);
  AddMemberCommands(*root, context);
  AddImportCommand(*root, context);
  AddExportCommand(*root, context);
  AddChangesCommand(*root, context);
  AddRoutesCommand(*root, context);
  AddTopologyCommands(*root, context);
  AddCallersCommands(*root, context);
  AddBenchCommand(*root, context);
  AddLabCommands(*root, context);
  AddDoctorCommand(*root, context);
  AddKeysCommands(*root, context);
  AddConfigCommands(*root, context);
  AddReferenceCommands(*root, context);
  AddCompletionCommand(*root, context);
  AddVersionCommand(*root, context);
  AddHelpCommand(*root, context);

  // Commands inherit it, so it comes last.
  root->footer(
      "Begin with:\n"
      "  muster demo                     a throw-away server with synthetic members, and lines to try\n"
      "  muster serve                    a server with its data in ./muster-data\n"
      "`muster help COMMAND` explains a command; `muster help exit-codes` and `muster help environment` are topics.");
  return root;
}

std::string ExplainUsageError(const CLI::App& root, const std::string& message) {
  const CLI::App& command = Innermost(root);
  const std::string path = CommandPath(command);
  const std::vector<std::string> rest = root.remaining(true);
  std::string problem = message;
  if (!rest.empty()) {
    const std::string& word = rest.front();
    std::vector<std::string> known;
    if (word.starts_with("-")) {
      for (const CLI::Option* option : VisibleOptions(command)) {
        for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
      }
      problem = WithoutProgram(path) + " has no option " + word + Suggestion(word, known);
    } else if (const auto commands = VisibleCommands(command); !commands.empty()) {
      for (const CLI::App* child : commands) known.push_back(child->get_name());
      problem = "there is no command '" + (command.get_parent() == nullptr ? "" : command.get_name() + " ") + word +
                "'" + Suggestion(word, known);
    } else {
      problem = WithoutProgram(path) + " takes no further word: '" + word + "'";
    }
  }
  return problem + "\nUsage: " + UsageLine(command) + "\nTry '" + path + " --help'.";
}

}  // namespace muster
