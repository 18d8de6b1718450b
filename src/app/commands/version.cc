#include "app/version.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "app/client/client_flags.h"
#include "app/commands/commands.h"
#include "app/output/table.h"
#include "domain/json_writer.h"

namespace muster {
namespace {

Outcome<ExitCode> PrintVersion(OutputFormat format) {
  const BuildInfo info = GetBuildInfo();
  std::string text;
  JsonWriter json(text);
  json.BeginObject();
  json.Key("version").String(info.version);
  json.Key("commit").String(info.commit);
  json.Key("buildType").String(info.build_type);
  json.Key("compiler").String(info.compiler);
  json.EndObject();
  MUSTER_TRY(PrintAs(format, text, [&](std::string_view) -> Outcome<std::string> {
    return "muster " + std::string(info.version) + " (" + std::string(info.commit) + ", " +
           std::string(info.build_type) + ", " + std::string(info.compiler) + ")\n";
  }));
  return ExitCode::kOk;
}

}  // namespace

void AddVersionCommand(CLI::App& root, CommandContext& context) {
  CLI::App* command = root.add_subcommand("version", "Print the version and how it was built");
  command->group(kHelpGroup);
  auto format = std::make_shared<std::string>("table");
  AddFormatFlag(*command, *format);
  command->callback([&context, format] { context.action = [format] { return PrintVersion(ParseFormat(*format)); }; });
  root.add_flag_callback(
      "--version", [&context] { context.action = [] { return PrintVersion(OutputFormat::kTable); }; },
      "Print the version");
}

}  // namespace muster
