#include "traffic/callers.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "app/cli/messages.h"
#include "app/client/client_flags.h"
#include "app/client/http_client.h"
#include "app/client/problem.h"
#include "app/commands/commands.h"
#include "app/commands/new_key.h"
#include "app/output/answer_tables.h"
#include "base/encoding.h"
#include "base/option_text.h"
#include "domain/json_writer.h"

namespace muster {
namespace {

struct CallerFlags {
  std::shared_ptr<ClientFlags> client;
  std::string name;
  std::string purpose;
  std::vector<std::string> scopes;
  std::string lifetime;
  std::string overlap;
  std::string write_key;
  std::string idempotency_key;
};

constexpr const char* kRequired = "required";
constexpr const char* kOptional = "optional";

// "36h" as protobuf's JSON writes a duration: "129600s".
Outcome<std::string> DurationJson(const std::string& text, const char* flag) {
  const auto milliseconds = ParseMilliseconds(text);
  if (!milliseconds || *milliseconds % 1000 != 0) {
    return Fails(ExitCode::kUsage, std::string(flag) + " is a time in whole seconds, as in 30m or 24h");
  }
  return std::to_string(*milliseconds / 1000) + "s";
}

// Zero would be a key that never ends, which is what no lifetime at all means.
Outcome<std::string> LifetimeJson(const std::string& text) {
  MUSTER_ASSIGN(std::string lifetime, DurationJson(text, "--key-lifetime"));
  if (lifetime != "0s") return lifetime;
  return Fails(ExitCode::kUsage, "--key-lifetime is at least 1s; leave it out for a key that does not end");
}

Outcome<std::string> CallerPath(const CallerFlags& flags) { return "/admin/v1/callers/" + EscapeUrl(flags.name); }

void AddName(CLI::App& command, CallerFlags& flags) {
  command.add_option("NAME", flags.name, "The caller's name")->required();
}

void AddKeyFlags(CLI::App& command, CallerFlags& flags) {
  command.add_option("--key-lifetime", flags.lifetime, "The new key ends after this time [it does not end]")
      ->type_name("TIME");
  command
      .add_option("--write-key", flags.write_key, "Write the new key to a new file, mode 0600, instead of printing it")
      ->type_name("FILE");
}

CLI::Option* AddIdempotencyKey(CLI::App& command, CallerFlags& flags, const char* description) {
  return command.add_option("--idempotency-key", flags.idempotency_key, description)
      ->check(CLI::IsMember({kRequired, kOptional}));
}

// Sends what makes a key, and shows the key once.
Outcome<ExitCode> SendForKey(const CallerFlags& flags, const std::string& path, const std::string& body) {
  MUSTER_TRY(CheckNewKeyFile(flags.write_key));
  MUSTER_ASSIGN(HttpClientOptions target, flags.client->ResolveAdmin());
  HttpClient client(std::move(target));
  MUSTER_ASSIGN(const HttpReply reply, client.Send({.method = "POST", .path = path, .body = body}));
  if (!reply.ok()) return std::unexpected(DescribeRefusal(reply));
  return ShowNewKey(reply.body, flags.write_key, flags.client->format());
}

Outcome<ExitCode> Create(const CallerFlags& flags) {
  if (!IsValidUtf8(flags.purpose)) return Fails(ExitCode::kUsage, "--purpose is not UTF-8");
  std::string body;
  JsonWriter json(body);
  json.BeginObject();
  json.Key("name").String(flags.name);
  json.Key("purpose").String(flags.purpose);
  json.Key("scopes").BeginArray();
  for (const std::string& scope : flags.scopes) json.String(scope);
  json.EndArray();
  if (!flags.lifetime.empty()) {
    MUSTER_ASSIGN(const std::string lifetime, LifetimeJson(flags.lifetime));
    json.Key("keyLifetime").String(lifetime);
  }
  if (flags.idempotency_key == kRequired) json.Key("idempotencyKeyRequired").Bool(true);
  json.EndObject();
  return SendForKey(flags, "/admin/v1/callers", body);
}

Outcome<ExitCode> Update(const CallerFlags& flags) {
  std::string body;
  JsonWriter json(body);
  json.BeginObject();
  json.Key("idempotencyKeyRequired").Bool(flags.idempotency_key == kRequired);
  json.EndObject();
  MUSTER_ASSIGN(HttpClientOptions target, flags.client->ResolveAdmin());
  HttpClient client(std::move(target));
  MUSTER_ASSIGN(const std::string path, CallerPath(flags));
  return SendAndPrint(client, {.method = "PATCH", .path = path, .body = body}, flags.client->format(),
                      [](std::string_view answer) { return RenderCaller(DescribeTerminal(STDOUT_FILENO), answer); });
}

Outcome<ExitCode> Rotate(const CallerFlags& flags) {
  std::string body;
  JsonWriter json(body);
  json.BeginObject();
  if (!flags.overlap.empty()) {
    MUSTER_ASSIGN(const std::string overlap, DurationJson(flags.overlap, "--overlap"));
    json.Key("overlap").String(overlap);
  }
  if (!flags.lifetime.empty()) {
    MUSTER_ASSIGN(const std::string lifetime, LifetimeJson(flags.lifetime));
    json.Key("keyLifetime").String(lifetime);
  }
  json.EndObject();
  MUSTER_ASSIGN(const std::string path, CallerPath(flags));
  return SendForKey(flags, path + ":rotate", body);
}

Outcome<ExitCode> SetState(const CallerFlags& flags, const std::string& verb) {
  MUSTER_ASSIGN(HttpClientOptions target, flags.client->ResolveAdmin());
  HttpClient client(std::move(target));
  MUSTER_ASSIGN(const std::string path, CallerPath(flags));
  MUSTER_ASSIGN(const HttpReply reply, client.Send({.method = "POST", .path = path + ":" + verb, .body = "{}"}));
  if (!reply.ok()) return std::unexpected(DescribeRefusal(reply));
  PrintNote("caller " + flags.name + " is " + verb + "d");
  return ExitCode::kOk;
}

void AddCreate(CLI::App& callers, CommandContext& context) {
  CLI::App* command = callers.add_subcommand("create", "Make a caller with a key, which is shown once");
  auto flags = std::make_shared<CallerFlags>();
  std::vector<std::string> scopes;
  for (const Scope scope : AllScopes()) scopes.emplace_back(ScopeName(scope));
  AddName(*command, *flags);
  command->add_option("--purpose", flags->purpose, "What it calls for, in a sentence")->type_name("TEXT")->required();
  command->add_option("--scopes", flags->scopes, "What it may do; several with commas")
      ->check(CLI::IsMember(scopes))
      ->delimiter(',')
      ->allow_extra_args(false)
      ->required();
  AddIdempotencyKey(*command, *flags, "Whether its writes to members need an Idempotency-Key [optional]");
  AddKeyFlags(*command, *flags);
  flags->client = AddClientFlags(*command);
  AddFormatFlag(*command, flags->client->format_text);
  command->footer(
      "Example:\n  muster callers create orders --purpose 'order service, resolves buyers' --scopes members.read "
      "--write-key orders.key");
  command->callback([&context, flags] { context.action = [flags] { return Create(*flags); }; });
}

void AddUpdate(CLI::App& callers, CommandContext& context) {
  CLI::App* command = callers.add_subcommand("update", "Change what is demanded of a caller, from now on");
  auto flags = std::make_shared<CallerFlags>();
  AddName(*command, *flags);
  AddIdempotencyKey(*command, *flags, "Whether its writes to members need an Idempotency-Key")->required();
  flags->client = AddClientFlags(*command);
  AddFormatFlag(*command, flags->client->format_text);
  command->footer("Example:\n  muster callers update orders --idempotency-key required");
  command->callback([&context, flags] { context.action = [flags] { return Update(*flags); }; });
}

void AddRotate(CLI::App& callers, CommandContext& context) {
  CLI::App* command = callers.add_subcommand("rotate", "Give a caller a new key; the old one lives on for a while");
  auto flags = std::make_shared<CallerFlags>();
  AddName(*command, *flags);
  command->add_option("--overlap", flags->overlap, "How long older keys still work [24h]")->type_name("TIME");
  AddKeyFlags(*command, *flags);
  flags->client = AddClientFlags(*command);
  AddFormatFlag(*command, flags->client->format_text);
  command->callback([&context, flags] { context.action = [flags] { return Rotate(*flags); }; });
}

void AddStateVerb(CLI::App& callers, CommandContext& context, const std::string& verb, const char* description) {
  CLI::App* command = callers.add_subcommand(verb, description);
  auto flags = std::make_shared<CallerFlags>();
  AddName(*command, *flags);
  flags->client = AddClientFlags(*command);
  command->callback([&context, flags, verb] { context.action = [flags, verb] { return SetState(*flags, verb); }; });
}

}  // namespace

void AddCallersCommands(CLI::App& root, CommandContext& context) {
  CLI::App* callers = AddCommandGroup(root, "callers", "Who may call: accounts, scopes and keys");
  PrintsAdminAnswer(*callers->add_subcommand("list", "Print all callers and the ids of their keys"), context,
                    "/admin/v1/callers", &RenderCallers);
  AddCreate(*callers, context);
  AddUpdate(*callers, context);
  AddRotate(*callers, context);
  AddStateVerb(*callers, context, "disable", "Refuse a caller's keys");
  AddStateVerb(*callers, context, "enable", "Accept a caller's keys again");
  callers->group(kOperateGroup);
}

}  // namespace muster
