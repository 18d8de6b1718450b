#include "app/cli/help.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "app/cli/messages.h"
#include "app/commands/commands.h"
#include "app/output/table.h"
#include "base/options.h"

namespace muster {
namespace {

std::string ExitCodesTopic() {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const ExitCodeDescription& row : AllExitCodes()) {
    rows.emplace_back(std::to_string(static_cast<int>(row.code)),
                      std::string(row.name) + "\n" + std::string(row.meaning));
  }
  return "What muster answers its caller with:\n\n" + RenderFields(DescribeTerminal(STDOUT_FILENO), rows);
}

std::string EnvironmentTopic() {
  return "Environment variables:\n\n" +
         RenderFields(
             DescribeTerminal(STDOUT_FILENO),
             {{"MUSTER_SERVER", "address for client commands, as --server"},
              {"MUSTER_KEY_FILE", "file with the caller key, as --key-file"},
              {"MUSTER_A__B", "option a.b of `serve`; above the file, below the flags (muster reference options)"},
              {"NO_COLOR", "no colours, when it is not empty"}}) +
         "\nKeys are never taken from variables or flags, only from files.\n";
}

Outcome<ExitCode> PrintTopic(const CLI::App& root, const std::vector<std::string>& words) {
  if (words == std::vector<std::string>{"exit-codes"}) {
    PrintData(ExitCodesTopic());
    return ExitCode::kOk;
  }
  if (words == std::vector<std::string>{"environment"}) {
    PrintData(EnvironmentTopic());
    return ExitCode::kOk;
  }
  const CLI::App* command = &root;
  for (const std::string& word : words) {
    std::vector<std::string> known(kHelpTopics.begin(), kHelpTopics.end());
    const CLI::App* next = nullptr;
    for (const CLI::App* child : VisibleCommands(*command)) {
      known.push_back(child->get_name());
      if (child->get_name() == word) next = child;
    }
    if (next == nullptr) {
      const std::string nearest = NearestWord(word, known);
      return Fails(ExitCode::kUsage,
                   "there is no help on '" + word + "'" + (nearest.empty() ? "" : "; did you mean '" + nearest + "'?"));
    }
    command = next;
  }
  PrintData(command->get_formatter()->make_help(command, "", CLI::AppFormatMode::Normal));
  return ExitCode::kOk;
}

}  // namespace

void AddHelpCommand(CLI::App& root, CommandContext& context) {
  CLI::App* command = root.add_subcommand("help", "Explain a command, or a topic: exit-codes, environment");
  command->group(kHelpGroup);
  auto words = std::make_shared<std::vector<std::string>>();
  command->add_option("WORDS", *words, "A command's words, as in: help member bind")->expected(0, 4);
  command->callback([&context, &root, words] { context.action = [&root, words] { return PrintTopic(root, *words); }; });
}

}  // namespace muster
