#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "app/cli/command_context.h"
#include "app/cli/terminal.h"
#include "app/client/target.h"
#include "app/output/json_text.h"

namespace muster {

// What every client command takes: --server, --key-file, --timeout, and -o where it prints data.
struct ClientFlags {
  TargetChoice target;
  std::string timeout_text = "10s";
  std::string format_text = "table";

  OutputFormat format() const;
  // --timeout applied; kUsage when it is not a time.
  Outcome<HttpClientOptions> Resolve() const;
  Outcome<HttpClientOptions> ResolveAdmin() const;
};

std::shared_ptr<ClientFlags> AddClientFlags(CLI::App& command, std::string default_timeout = "10s");
void AddFormatFlag(CLI::App& command, std::string& format_text);
OutputFormat ParseFormat(std::string_view text);

// Sends one request and prints what `render` makes of the answer, or the answer itself as JSON or YAML.
using RenderTable = std::function<Outcome<std::string>(std::string_view json)>;
Outcome<ExitCode> SendAndPrint(HttpClient& client, const HttpClient::Request& request, OutputFormat format,
                               const RenderTable& render);
// Makes `command` print what the admin port answers at `path`.
using RenderAnswer = Outcome<std::string> (*)(const Terminal& terminal, std::string_view json);
void PrintsAdminAnswer(CLI::App& command, CommandContext& context, std::string path, RenderAnswer render);
// Prints JSON data in the chosen format.
Outcome<void> PrintAs(OutputFormat format, std::string_view json, const RenderTable& render);

}  // namespace muster
