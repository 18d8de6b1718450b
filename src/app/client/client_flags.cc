#include "app/client/client_flags.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "app/cli/messages.h"
#include "app/client/problem.h"
#include "base/option_text.h"

namespace muster {
namespace {

constexpr std::int64_t kTimeoutMsMax = 24LL * 3600 * 1000;

}  // namespace

OutputFormat ParseFormat(std::string_view text) {
  if (text == "json") return OutputFormat::kJson;
  return text == "yaml" ? OutputFormat::kYaml : OutputFormat::kTable;
}

OutputFormat ClientFlags::format() const { return ParseFormat(format_text); }

Outcome<HttpClientOptions> ClientFlags::Resolve() const {
  const auto milliseconds = ParseMilliseconds(timeout_text);
  if (!milliseconds || *milliseconds < 1 || *milliseconds > kTimeoutMsMax) {
    return Fails(ExitCode::kUsage, "--timeout is a time between 1ms and 24h, as in 500ms or 10s");
  }
  TargetChoice choice = target;
  choice.timeout = std::chrono::milliseconds(*milliseconds);
  return ResolveTarget(choice, ReadEnvironment(), kDefaultDataDirectory);
}

Outcome<HttpClientOptions> ClientFlags::ResolveAdmin() const {
  MUSTER_ASSIGN(const HttpClientOptions server, Resolve());
  return ResolveAdminTarget(server);
}

std::shared_ptr<ClientFlags> AddClientFlags(CLI::App& command, std::string default_timeout) {
  auto flags = std::make_shared<ClientFlags>();
  flags->timeout_text = std::move(default_timeout);
  command
      .add_option("--server", flags->target.server,
                  "Address of the server [MUSTER_SERVER, ./muster-data/endpoints.json]")
      ->type_name("URL")
      ->group("Server");
  command
      .add_option("--key-file", flags->target.key_file,
                  "File with the caller key [MUSTER_KEY_FILE, ./muster-data/admin.key]")
      ->type_name("FILE")
      ->group("Server");
  command.add_option("--timeout", flags->timeout_text, "How long one request may take [" + flags->timeout_text + "]")
      ->type_name("TIME")
      ->group("Server");
  return flags;
}

void AddFormatFlag(CLI::App& command, std::string& format_text) {
  command.add_option("-o,--output", format_text, "How to print [table]")
      ->check(CLI::IsMember({"table", "json", "yaml"}));
}

Outcome<void> PrintAs(OutputFormat format, std::string_view json, const RenderTable& render) {
  Outcome<std::string> text = format == OutputFormat::kJson   ? IndentJson(json)
                              : format == OutputFormat::kYaml ? JsonToYaml(json)
                                                              : render(json);
  if (!text) return std::unexpected(std::move(text).error());
  PrintData(*text);
  return {};
}

Outcome<ExitCode> SendAndPrint(HttpClient& client, const HttpClient::Request& request, OutputFormat format,
                               const RenderTable& render) {
  MUSTER_ASSIGN(const HttpReply reply, client.Send(request));
  if (!reply.ok()) return std::unexpected(DescribeRefusal(reply));
  MUSTER_TRY(PrintAs(format, reply.body, render));
  return ExitCode::kOk;
}

void PrintsAdminAnswer(CLI::App& command, CommandContext& context, std::string path, RenderAnswer render) {
  auto flags = AddClientFlags(command);
  AddFormatFlag(command, flags->format_text);
  command.callback([&context, flags, path = std::move(path), render] {
    context.action = [flags, path, render]() -> Outcome<ExitCode> {
      MUSTER_ASSIGN(HttpClientOptions target, flags->ResolveAdmin());
      HttpClient client(std::move(target));
      return SendAndPrint(client, {.path = path}, flags->format(),
                          [render](std::string_view json) { return render(DescribeTerminal(STDOUT_FILENO), json); });
    };
  });
}

}  // namespace muster
