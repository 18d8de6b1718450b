#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "app/cli/messages.h"
#include "app/client/client_flags.h"
#include "app/commands/commands.h"
#include "app/commands/server_flags.h"
#include "app/output/reference_pages.h"
#include "app/output/table.h"
#include "domain/json_writer.h"

namespace muster {
namespace {

Outcome<ExitCode> Check(const ServerFlags& flags) {
  MUSTER_TRY(LoadCheckedServerOptions(flags));
  PrintNote("The configuration is valid.");
  return ExitCode::kOk;
}

std::string ExplanationJson(const std::vector<OptionRegistry::Current>& options) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Key("options").BeginArray();
  for (const OptionRegistry::Current& option : options) {
    json.BeginObject();
    json.Key("name").String(option.spec->name);
    json.Key("value").String(option.text);
    json.Key("source").String(option.source);
    json.Key("default").String(option.spec->default_text);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  return out;
}

Outcome<ExitCode> Explain(const ServerFlags& flags, OutputFormat format) {
  ServerOptions options;
  OptionRegistry registry;
  options.Declare(registry);
  MUSTER_TRY(ApplySources(flags, registry));
  const auto current = registry.Explain();
  MUSTER_TRY(PrintAs(format, ExplanationJson(current), [&](std::string_view) -> Outcome<std::string> {
    Table table({{"OPTION"}, {"VALUE"}, {"FROM"}});
    for (const OptionRegistry::Current& option : current) table.AddRow({option.spec->name, option.text, option.source});
    return table.Render(DescribeTerminal(STDOUT_FILENO));
  }));
  return ExitCode::kOk;
}

}  // namespace

void AddConfigCommands(CLI::App& root, CommandContext& context) {
  CLI::App* config = AddCommandGroup(root, "config", "Check and explain a configuration");
  auto flags = std::make_shared<ServerFlags>();
  auto format = std::make_shared<std::string>("table");

  CLI::App* check =
      config->add_subcommand("check", "Say whether `serve` would take this configuration; the data is not looked at");
  AddServerFlags(*check, *flags);
  check->callback([&context, flags] { context.action = [flags] { return Check(*flags); }; });

  CLI::App* explain = config->add_subcommand("explain", "Print every option, its value, and where that comes from");
  AddServerFlags(*explain, *flags);
  AddFormatFlag(*explain, *format);
  explain->callback([&context, flags, format] {
    context.action = [flags, format] { return Explain(*flags, ParseFormat(*format)); };
  });

  CLI::App* reference = config->add_subcommand("reference", "Print what options there are, as Markdown");
  reference->callback([&context] {
    context.action = []() -> Outcome<ExitCode> {
      PrintData(OptionsReference());
      return ExitCode::kOk;
    };
  });
  config->group(kHelpGroup);
}

}  // namespace muster
