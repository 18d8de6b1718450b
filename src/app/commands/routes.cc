#include <CLI/CLI.hpp>

#include "app/client/client_flags.h"
#include "app/commands/commands.h"
#include "app/output/answer_tables.h"

namespace muster {

void AddRoutesCommand(CLI::App& root, CommandContext& context) {
  CLI::App* command = root.add_subcommand("routes", "Print the live route tree of a server with its counters");
  command->group(kOperateGroup);
  PrintsAdminAnswer(*command, context, "/admin/v1/routes", &RenderRoutes);
}

}  // namespace muster
