#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <utility>

#include "app/cli/messages.h"
#include "app/client/client_flags.h"
#include "app/commands/commands.h"
#include "app/commands/server_flags.h"
#include "app/files.h"
#include "app/output/table.h"
#include "app/server/admin_key.h"
#include "app/server/member_data.h"
#include "base/clock.h"
#include "base/random.h"
#include "domain/json_writer.h"
#include "domain/keyring.h"
#include "store/data_directory.h"

namespace muster {
namespace {

std::string KeyringJson(const Keyring& keyring) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Key("sealKeys").BeginArray();
  for (const auto& [id, key] : keyring.seal_keys()) {
    json.BeginObject();
    json.Key("id").Number(id);
    json.Key("active").Bool(id == keyring.active_seal_id());
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  return out;
}

std::string KeyringTable(const Keyring& keyring) {
  Table table({{"SEAL KEY", Table::Align::kRight}, {"USE"}});
  for (const auto& [id, key] : keyring.seal_keys()) {
    table.AddRow({std::to_string(id), id == keyring.active_seal_id() ? "seals and opens" : "opens"});
  }
  return table.Render(DescribeTerminal(STDOUT_FILENO));
}

Outcome<void> RequireKeyring(const ServerOptions& options) {
  const std::string path = options.keyring_path();
  if (FileExists(path)) return {};
  return Fails(ExitCode::kFailure, "there is no keyring " + path +
                                       ": give the directory that `muster serve --data` uses, and its --config when "
                                       "the keyring lies elsewhere; one that was lost is restored from its copy");
}

Outcome<ExitCode> List(const ServerFlags& flags, OutputFormat format) {
  MUSTER_ASSIGN(const ServerOptions options, LoadServerOptions(flags));
  MUSTER_TRY(RequireKeyring(options));
  const auto keyring = Keyring::Load(options.keyring_path());
  if (!keyring) return Fails(keyring.error());
  MUSTER_TRY(PrintAs(format, KeyringJson(*keyring),
                     [&](std::string_view) -> Outcome<std::string> { return KeyringTable(*keyring); }));
  return ExitCode::kOk;
}

// Keeps servers away, which have read the keyring, and the callers, at their start.
Outcome<DirectoryLock> LockOut(const ServerOptions& options) {
  if (!options.is_mariadb()) {
    const Result<std::int64_t> files = CountDataFiles(options.data_directory);
    if (!files) return Fails(files.error());
    if (*files == 0) {
      return Fails(ExitCode::kFailure,
                   options.data_directory + " holds no data files; give the directory that `muster serve --data` uses");
    }
  }
  Result<DirectoryLock> lock = DirectoryLock::Acquire(options.data_directory);
  if (!lock) return Fails(lock.error());
  return std::move(*lock);
}

Outcome<ExitCode> Rotate(const ServerFlags& flags) {
  MUSTER_ASSIGN(const ServerOptions options, LoadServerOptions(flags));
  MUSTER_TRY(RequireKeyring(options));
  MUSTER_ASSIGN(const DirectoryLock lock, LockOut(options));
  SystemRandom random;
  const auto keyring = Keyring::Rotate(options.keyring_path(), random);
  if (!keyring) return Fails(keyring.error());
  PrintNote("Key " + std::to_string(keyring->active_seal_id()) +
            " seals from the next start of the server on; members are sealed with it as " +
            "they change. Keep a copy of " + options.keyring_path() + ".");
  return ExitCode::kOk;
}

Outcome<ExitCode> ReplaceAdmin(const ServerFlags& flags) {
  MUSTER_ASSIGN(const ServerOptions options, LoadServerOptions(flags));
  MUSTER_TRY(RequireKeyring(options));
  MUSTER_ASSIGN(const DirectoryLock lock, LockOut(options));
  const auto keyring = Keyring::Load(options.keyring_path());
  if (!keyring) return Fails(keyring.error());
  SystemRandom random;
  const SystemClock clock;
  MUSTER_ASSIGN(const auto topology, OpenTopologyStore(options, clock, random));
  const std::string path = options.data_directory + "/admin.key";
  MUSTER_TRY(ReplaceAdminKey(*topology, *keyring, clock, random, path));
  PrintNote("The key of the caller admin is in " + path + "; older ones have ended.");
  return ExitCode::kOk;
}

CLI::App* AddVerb(CLI::App& keys, const char* name, const char* description, ServerFlags& flags) {
  CLI::App* command = keys.add_subcommand(name, description);
  command->add_option("--data", flags.data_directory, "The data directory [muster-data]")->type_name("DIR");
  command->add_option("--config", flags.config_file, "The server's configuration, when its keyring lies elsewhere")
      ->type_name("FILE");
  return command;
}

}  // namespace

void AddKeysCommands(CLI::App& root, CommandContext& context) {
  CLI::App* keys =
      AddCommandGroup(root, "keys", "The secrets of a data directory: list, rotate, replace the admin's key");
  auto flags = std::make_shared<ServerFlags>();
  auto format = std::make_shared<std::string>("table");

  CLI::App* list = AddVerb(*keys, "list", "Print the ids of the keys that personal values are sealed with", *flags);
  AddFormatFlag(*list, *format);
  list->callback(
      [&context, flags, format] { context.action = [flags, format] { return List(*flags, ParseFormat(*format)); }; });

  CLI::App* rotate = AddVerb(*keys, "rotate", "Add a key that personal values are sealed with from now on", *flags);
  rotate->callback([&context, flags] { context.action = [flags] { return Rotate(*flags); }; });

  CLI::App* replace = AddVerb(*keys, "replace-admin",
                              "Make the caller admin anew with a fresh key, when it was lost or disabled", *flags);
  replace->callback([&context, flags] { context.action = [flags] { return ReplaceAdmin(*flags); }; });
  keys->group(kOperateGroup);
}

}  // namespace muster
