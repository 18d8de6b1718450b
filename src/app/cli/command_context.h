#pragma once

#include <functional>
#include <string>

#include "app/cli/exit_code.h"

namespace CLI {
class App;
}

namespace muster {

// What the selected command does, set while the command line is parsed and run afterwards. Data goes to standard
// output, everything else to standard error.
struct CommandContext {
  std::function<Outcome<ExitCode>()> action;
};

// A word of the command line that groups others ("member"): without one of them it prints its help and is a usage
// error.
CLI::App* AddCommandGroup(CLI::App& parent, const std::string& name, const std::string& description);

}  // namespace muster
