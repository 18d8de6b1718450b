#pragma once

#include <optional>
#include <string>

#include "app/cli/command_context.h"
#include "app/server/server_options.h"

namespace muster {

// What `serve`, `config` and the like take, as far as it was given.
struct ServerFlags {
  std::optional<std::string> config_file;
  std::optional<std::string> data_directory;
  std::optional<std::string> http_listen;
  std::optional<std::string> grpc_listen;
  std::optional<std::string> admin_listen;
  std::optional<std::string> threads;
};
void AddServerFlags(CLI::App& command, ServerFlags& flags);

// Sets the options from the file, then the environment, then the flags. Each error begins with the place of the
// mistake.
Outcome<void> ApplySources(const ServerFlags& flags, OptionRegistry& registry);

// The options that a server with these flags would have.
Outcome<ServerOptions> LoadServerOptions(const ServerFlags& flags);

// The same for whoever is about to start one, or says whether it would start: as a whole they are checked, too.
Outcome<ServerOptions> LoadCheckedServerOptions(const ServerFlags& flags);

}  // namespace muster
