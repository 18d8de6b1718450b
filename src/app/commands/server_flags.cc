#include "app/commands/server_flags.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <tuple>

#include "base/toml_source.h"

namespace muster {

void AddServerFlags(CLI::App& command, ServerFlags& flags) {
  command.add_option("--config", flags.config_file, "Configuration, TOML")->type_name("FILE");
  command.add_option("--data", flags.data_directory, "Where the data is [muster-data]")->type_name("DIR");
  command.add_option("--http", flags.http_listen, "Where callers are served [127.0.0.1:7400]; port 0 picks a free one")
      ->type_name("HOST:PORT");
  command.add_option("--grpc", flags.grpc_listen, "Where callers are served over gRPC [127.0.0.1:7401]")
      ->type_name("HOST:PORT");
  command.add_option("--admin", flags.admin_listen, "Where administrators are served [127.0.0.1:7402]")
      ->type_name("HOST:PORT");
  command
      .add_option("--threads", flags.threads,
                  "Event loops of the HTTP and of the gRPC port, each [the CPUs this process may use]")
      ->type_name("N");
}

Outcome<void> ApplySources(const ServerFlags& flags, OptionRegistry& registry) {
  if (flags.config_file) {
    if (const auto loaded = LoadToml(*flags.config_file, registry); !loaded) return Fails(loaded.error());
  }
  if (const auto loaded = LoadEnvironment(environ, registry); !loaded) return Fails(loaded.error());
  const std::tuple<const char*, const char*, const std::optional<std::string>*> options[] = {
      {"data.directory", "--data", &flags.data_directory}, {"http.listen", "--http", &flags.http_listen},
      {"grpc.listen", "--grpc", &flags.grpc_listen},       {"admin.listen", "--admin", &flags.admin_listen},
      {"http.threads", "--threads", &flags.threads},       {"grpc.threads", "--threads", &flags.threads}};
  for (const auto& [name, flag, value] : options) {
    if (!*value) continue;
    if (const auto set = registry.Set(name, **value, flag); !set) {
      return Fails(ExitCode::kUsage, set.error().message);
    }
  }
  return {};
}

Outcome<ServerOptions> LoadServerOptions(const ServerFlags& flags) {
  ServerOptions options;
  OptionRegistry registry;
  options.Declare(registry);
  MUSTER_TRY(ApplySources(flags, registry));
  return options;
}

Outcome<ServerOptions> LoadCheckedServerOptions(const ServerFlags& flags) {
  ServerOptions options;
  OptionRegistry registry;
  options.Declare(registry);
  MUSTER_TRY(ApplySources(flags, registry));
  if (const auto checked = CheckServerOptions(options, registry); !checked) {
    auto failed = Fails(checked.error());
    // It begins with the place where the option was set.
    if (failed.error().message.starts_with("--")) failed.error().code = ExitCode::kUsage;
    return failed;
  }
  return options;
}

}  // namespace muster
