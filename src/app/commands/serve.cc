#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "app/cli/messages.h"
#include "app/commands/commands.h"
#include "app/commands/server_flags.h"
#include "app/files.h"
#include "app/output/table.h"
#include "app/server/member_directory.h"
#include "app/server/process.h"
#include "app/server/server.h"
#include "app/version.h"

namespace muster {
namespace {

void PrintReady(const ServerOptions& options, const Server& server) {
  const std::string key = options.data_directory + "/admin.key";
  PrintData(
      "muster " + std::string(GetBuildInfo().version) + " is ready\n" +
      RenderFields(
          DescribeTerminal(STDOUT_FILENO),
          {{"  http", "http://" + server.http_address()},
           {"  grpc", server.grpc_address()},
           {"  admin", "http://" + server.admin_address()},
           {"  data", options.data_directory},
           {"  key", FileExists(key) ? key : "not here: use the copy that was kept, or `muster keys replace-admin`"}}));
  std::fflush(stdout);
}

Outcome<ExitCode> Serve(const ServerFlags& flags) {
  MUSTER_ASSIGN(const ServerOptions options, LoadCheckedServerOptions(flags));
  PrepareServerProcess();
  TerminationSignals signals;
  auto logger = MakeLogger(options.log());
  if (!logger) return Fails(logger.error());
  MUSTER_ASSIGN(const auto directory, MemberDirectory::Open(options, **logger));
  MUSTER_TRY(RemoveEndpoints(options.data_directory));  // a crash may have left them
  const auto started = Server::Start(options, *directory, **logger);
  if (!started) return Fails(started.error());
  const std::unique_ptr<Server>& server = *started;
  MUSTER_TRY(WriteEndpoints(options.data_directory, *server));
  (*logger)->Info("server is ready", {{"version", GetBuildInfo().version},
                                      {"http", server->http_address()},
                                      {"grpc", server->grpc_address()},
                                      {"admin", server->admin_address()},
                                      {"data", options.data_directory},
                                      {"members", directory->store().CountMembers()}});
  PrintReady(options, *server);
  signals.Wait([&logger] {
    (*logger)->Reopen();
    (*logger)->Info("hang-up");
  });
  (*logger)->Info("server is stopping");
  const auto removed = RemoveEndpoints(options.data_directory);
  server->Stop();
  if (!removed) return std::unexpected(removed.error());
  return ExitCode::kOk;
}

}  // namespace

void AddServeCommand(CLI::App& root, CommandContext& context) {
  CLI::App* command = root.add_subcommand("serve", "Run a server");
  command->group(kServerGroup);
  auto flags = std::make_shared<ServerFlags>();
  AddServerFlags(*command, *flags);
  command->footer(
      "The first start makes the data directory, its secrets (keyring; keep a copy) and the caller admin, whose key is "
      "in\n"
      "DIR/admin.key. When it is ready it prints its addresses and writes them to DIR/endpoints.json. SIGTERM and "
      "SIGINT let it\n"
      "finish what is under way and exit 0; a second one ends it at once. SIGHUP opens log.file again.\n"
      "Every option: muster reference options.");
  command->callback([&context, flags] { context.action = [flags] { return Serve(*flags); }; });
}

}  // namespace muster
