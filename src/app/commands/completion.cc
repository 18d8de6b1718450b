#include "app/cli/completion.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "app/cli/messages.h"
#include "app/commands/commands.h"

namespace muster {

void AddCompletionCommand(CLI::App& root, CommandContext& context) {
  CLI::App* command = root.add_subcommand("completion", "Print a completion script for bash, zsh or fish");
  command->group(kHelpGroup);
  auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "The shell")->check(CLI::IsMember({"bash", "zsh", "fish"}))->required();
  command->footer(
      "Load it in the running shell:\n"
      "  bash   source <(muster completion bash)\n"
      "  zsh    source <(muster completion zsh)      (after compinit)\n"
      "  fish   muster completion fish | source\n"
      "or keep it:\n"
      "  bash   muster completion bash > ~/.local/share/bash-completion/completions/muster\n"
      "  zsh    muster completion zsh > DIRECTORY_OF_FPATH/_muster\n"
      "  fish   muster completion fish > ~/.config/fish/completions/muster.fish");
  command->callback([&context, &root, shell] {
    context.action = [&root, shell]() -> Outcome<ExitCode> {
      PrintData(*shell == "bash" ? BashCompletion(root) : *shell == "zsh" ? ZshCompletion(root) : FishCompletion(root));
      return ExitCode::kOk;
    };
  });
}

}  // namespace muster
