#include <unistd.h>

#include <CLI/CLI.hpp>

#include "app/client/client_flags.h"
#include "app/client/http_client.h"
#include "app/commands/commands.h"
#include "app/output/answer_tables.h"

namespace muster {

void AddRoutesCommand(CLI::App& root, CommandContext& context) {
  CLI::App* command = root.add_subcommand("routes", "Print the live route tree of a server with its counters");
  command->group(kOperateGroup);
  auto client_flags = AddClientFlags(*command);
  AddFormatFlag(*command, client_flags->format_text);
  command->callback([&context, client_flags] {
    context.action = [client_flags]() -> Outcome<ExitCode> {
      MUSTER_ASSIGN(HttpClientOptions target, client_flags->ResolveAdmin());
      HttpClient client(std::move(target));
      return SendAndPrint(client, {.path = "/admin/v1/routes"}, client_flags->format(),
                          [](std::string_view json) { return RenderRoutes(DescribeTerminal(STDOUT_FILENO), json); });
    };
  });
}

}  // namespace muster
