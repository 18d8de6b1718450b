#pragma once

#include <memory>
#include <string>

#include "app/cli/command_context.h"

namespace CLI {
class App;
}

namespace muster {

// All commands with their options and help; `context` receives what the selected one does and outlives the tree.
std::unique_ptr<CLI::App> MakeCommandTree(CommandContext& context);

// What was wrong with a command line that does not parse, with the nearest known word: "there is no command 'memebr';
// did you mean 'member'?". `message` is the parser's own.
std::string ExplainUsageError(const CLI::App& root, const std::string& message);

}  // namespace muster
