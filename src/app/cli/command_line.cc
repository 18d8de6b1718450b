#include "app/cli/command_line.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/cli/command_tree.h"
#include "app/cli/messages.h"

namespace muster {
namespace {

int Number(ExitCode code) { return static_cast<int>(code); }

// The selected command, which has neither an action nor asks for help: a group without one of its words.
int PrintGroupHelp(const CLI::App& root) {
  const bool is_root = root.get_subcommands().empty();
  const std::string help = root.help();
  std::fputs(help.c_str(), is_root ? stdout : stderr);
  return Number(is_root ? ExitCode::kOk : ExitCode::kUsage);
}

// Standard output that does not take what was printed (a full disk behind it) must not look like success.
int Finish(ExitCode code) {
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
  if (failed && code == ExitCode::kOk) {
    PrintMessage("standard output could not be written; is the disk full?");
    return Number(ExitCode::kFailure);
  }
  return Number(code);
}

}  // namespace

int RunCommandLine(int argc, const char* const* argv) {
  CommandContext context;
  const auto root = MakeCommandTree(context);
  try {
    root->parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::fputs(root->help().c_str(), stdout);
    return Finish(ExitCode::kOk);
  } catch (const CLI::ParseError& error) {
    PrintMessage(ExplainUsageError(*root, error.what()));
    return Number(ExitCode::kUsage);
  }
  if (!context.action) return PrintGroupHelp(*root);
  const Outcome<ExitCode> outcome = context.action();
  if (!outcome) {
    PrintMessage(outcome.error().message);
    return Number(outcome.error().code);
  }
  return Finish(*outcome);
}

}  // namespace muster
