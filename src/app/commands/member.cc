#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdint>
#include <memory>

#include "app/cli/messages.h"
#include "app/client/client_flags.h"
#include "app/client/http_client.h"
#include "app/client/problem.h"
#include "app/commands/commands.h"
#include "app/commands/member_fields.h"
#include "app/output/answer_tables.h"
#include "base/encoding.h"
#include "base/random.h"
#include "domain/json_writer.h"

namespace muster {
namespace {

// What every `muster member` verb has.
struct Verb {
  std::shared_ptr<ClientFlags> client;
  std::string id;
  std::string if_match;
  std::string min_version;
  bool no_cache = false;
};

struct VerbApp {
  CLI::App* app;
  std::shared_ptr<Verb> verb;
};

VerbApp AddVerb(CLI::App& members, const char* name, const char* description) {
  CLI::App* app = members.add_subcommand(name, description);
  auto verb = std::make_shared<Verb>();
  return {app, verb};
}

// After the verb's own operands and flags, so that help lists those first.
void AddCommonFlags(const VerbApp& added) {
  AddFormatFlag(*added.app, (added.verb->client = AddClientFlags(*added.app))->format_text);
}

void AddId(const VerbApp& added) { added.app->add_option("ID", added.verb->id, "The member's number")->required(); }

void AddIfMatch(const VerbApp& added) {
  added.app->add_option("--if-match", added.verb->if_match, "Only when the member has this version")
      ->type_name("VERSION");
}

void AddFreshness(const VerbApp& added) {
  added.app->add_option("--min-version", added.verb->min_version, "Not older than this version")->type_name("VERSION");
  added.app->add_flag("--no-cache", added.verb->no_cache, "Ask the store itself, no cache");
}

Outcome<std::string> ShowMember(std::string_view json) { return RenderMember(DescribeTerminal(STDOUT_FILENO), json); }

// Of a write, which the client may send again over a new connection. A command that is given again is another write.
std::string NewIdempotencyKey() {
  std::array<std::uint8_t, 16> bytes;
  SystemRandom().Fill(bytes);
  return ToHex(bytes);
}

Outcome<ExitCode> Send(const Verb& verb, std::string_view method, std::string path, std::string_view body = {}) {
  MUSTER_ASSIGN(HttpClientOptions target, verb.client->Resolve());
  HttpClient client(std::move(target));
  HttpClient::Request request{.method = method, .path = std::move(path), .body = body};
  if (method != "GET") request.headers["Idempotency-Key"] = NewIdempotencyKey();
  if (!verb.if_match.empty()) request.headers["If-Match"] = "\"" + verb.if_match + "\"";
  if (verb.no_cache) request.headers["Cache-Control"] = "no-cache";
  if (!verb.min_version.empty()) {
    request.path +=
        (request.path.find('?') == std::string::npos ? "?" : "&") + ("minVersion=" + EscapeUrl(verb.min_version));
  }
  return SendAndPrint(client, request, verb.client->format(), ShowMember);
}

Outcome<std::string> MemberPath(const Verb& verb) {
  MUSTER_ASSIGN(const std::string id, CheckMemberId(verb.id));
  return "/v1/members/" + id;
}

void AddGet(CLI::App& members, CommandContext& context) {
  const VerbApp get = AddVerb(members, "get", "Print a member by its number");
  AddId(get);
  AddFreshness(get);
  AddCommonFlags(get);
  get.app->callback([&context, verb = get.verb] {
    context.action = [verb]() -> Outcome<ExitCode> {
      MUSTER_ASSIGN(std::string path, MemberPath(*verb));
      return Send(*verb, "GET", std::move(path));
    };
  });
}

void AddResolve(CLI::App& members, CommandContext& context) {
  const VerbApp resolve = AddVerb(members, "resolve", "Print the member who holds an identity");
  auto identity = std::make_shared<std::string>();
  resolve.app->add_option("IDENTITY", *identity, "KIND=VALUE or KIND@PLATFORM=VALUE")->required();
  AddFreshness(resolve);
  AddCommonFlags(resolve);
  resolve.app->footer("Example:\n  muster member resolve phone=+8613800000001");
  resolve.app->callback([&context, verb = resolve.verb, identity] {
    context.action = [verb, identity]() -> Outcome<ExitCode> {
      MUSTER_ASSIGN(const IdentityText parsed, ParseIdentityText(*identity));
      std::string path = "/v1/members:resolve?kind=" + EscapeUrl(parsed.kind) + "&value=" + EscapeUrl(parsed.value);
      if (!parsed.platform.empty()) path += "&platform=" + EscapeUrl(parsed.platform);
      return Send(*verb, "GET", std::move(path));
    };
  });
}

void AddRegister(CLI::App& members, CommandContext& context) {
  const VerbApp added = AddVerb(members, "register", "Register a member");
  auto fields = std::make_shared<MemberFields>();
  added.app->add_option("--identity", fields->identities, "KIND=VALUE or KIND@PLATFORM=VALUE; may be repeated")
      ->type_name("IDENTITY")
      ->allow_extra_args(false)
      ->group("Member");
  added.app->add_option("--id", fields->id, "The number to give it; needs the scope members.import")
      ->type_name("ID")
      ->group("Member");
  AddFieldFlags(*added.app, *fields);
  AddCommonFlags(added);
  added.app->footer("Example:\n  muster member register --name 'Li Lei' --city Suzhou --identity phone=+8613800000001");
  added.app->callback([&context, verb = added.verb, fields] {
    context.action = [verb, fields]() -> Outcome<ExitCode> {
      MUSTER_ASSIGN(const MemberRequest body, MakeMemberRequest(*fields));
      return Send(*verb, "POST", "/v1/members", body.json);
    };
  });
}

void AddUpdate(CLI::App& members, CommandContext& context) {
  const VerbApp added = AddVerb(members, "update", "Change fields of a member");
  auto fields = std::make_shared<MemberFields>();
  AddId(added);
  AddIfMatch(added);
  AddFieldFlags(*added.app, *fields);
  added.app->add_option("--state", fields->state, "Freeze or unfreeze it")
      ->check(CLI::IsMember({"ACTIVE", "FROZEN"}))
      ->group("Member");
  added.app->add_option("--clear", fields->clear, "Clear a field, in the API's spelling (birthDate); may be repeated")
      ->type_name("FIELD")
      ->allow_extra_args(false)
      ->group("Member");
  AddCommonFlags(added);
  added.app->footer("Example:\n  muster member update 42 --city Suzhou --clear tier");
  added.app->callback([&context, verb = added.verb, fields] {
    context.action = [verb, fields]() -> Outcome<ExitCode> {
      MUSTER_ASSIGN(std::string path, MemberPath(*verb));
      MUSTER_ASSIGN(const MemberRequest body, MakeMemberRequest(*fields));
      if (body.update_mask.empty())
        return Fails(ExitCode::kUsage, "nothing to change: name a field, as in --city Suzhou or --clear tier");
      return Send(*verb, "PATCH", path + "?updateMask=" + EscapeUrl(body.update_mask), body.json);
    };
  });
}

void AddBinding(CLI::App& members, CommandContext& context, const char* name, const char* description) {
  const VerbApp added = AddVerb(members, name, description);
  struct Binding {
    std::string identity;
    std::string source;
    bool verified = false;
  };
  auto binding = std::make_shared<Binding>();
  AddId(added);
  added.app->add_option("IDENTITY", binding->identity, "KIND=VALUE or KIND@PLATFORM=VALUE")->required();
  if (std::string_view(name) == "bind") {
    added.app->add_flag("--verified", binding->verified, "The holder has proved to own it");
    added.app->add_option("--source", binding->source, "Who says so: a system or a channel")->type_name("TEXT");
  }
  AddIfMatch(added);
  AddCommonFlags(added);
  added.app->footer("Example:\n  muster member " + std::string(name) + " 42 unionid@wechat=oA1b2");
  added.app->callback([&context, verb = added.verb, binding, suffix = ":" + std::string(name)] {
    context.action = [verb, binding, suffix]() -> Outcome<ExitCode> {
      MUSTER_ASSIGN(const std::string path, MemberPath(*verb));
      MUSTER_ASSIGN(const IdentityText identity, ParseIdentityText(binding->identity));
      const std::string body = R"({"identity":)" + IdentityJson(identity, binding->verified, binding->source) + "}";
      return Send(*verb, "POST", path + suffix, body);
    };
  });
}

void AddMerging(CLI::App& members, CommandContext& context, const char* name, const char* description) {
  const VerbApp added = AddVerb(members, name, description);
  struct Merging {
    std::string source;
    bool dry_run = false;
  };
  auto merging = std::make_shared<Merging>();
  AddId(added);
  added.app->add_option("SOURCE", merging->source, "The number of the member that is merged into it")->required();
  added.app->add_flag("--dry-run", merging->dry_run, "Print what would be, and change nothing");
  AddIfMatch(added);
  AddCommonFlags(added);
  added.app->footer("Example:\n  muster member " + std::string(name) + " 42 43 --dry-run");
  added.app->callback([&context, verb = added.verb, merging, suffix = ":" + std::string(name)] {
    context.action = [verb, merging, suffix]() -> Outcome<ExitCode> {
      MUSTER_ASSIGN(const std::string path, MemberPath(*verb));
      MUSTER_ASSIGN(const std::string source, CheckMemberId(merging->source));
      const std::string body = R"({"sourceId":")" + source + R"(","dryRun":)" + (merging->dry_run ? "true}" : "false}");
      return Send(*verb, "POST", path + suffix, body);
    };
  });
}

void AddClose(CLI::App& members, CommandContext& context) {
  const VerbApp added = AddVerb(members, "close", "Close a member for ever; its identities are free again");
  AddId(added);
  AddIfMatch(added);
  AddCommonFlags(added);
  added.app->callback([&context, verb = added.verb] {
    context.action = [verb]() -> Outcome<ExitCode> {
      MUSTER_ASSIGN(const std::string path, MemberPath(*verb));
      return Send(*verb, "POST", path + ":close", "{}");
    };
  });
}

// A page of a list: its size, and where it begins.
struct ListPage {
  int size = 50;
  std::string token;
};

void AddPageFlags(const VerbApp& added, ListPage& page, int size_max, const char* size_help) {
  added.app->add_option("--page-size", page.size, size_help)->check(CLI::Range(1, size_max))->type_name("N");
  added.app
      ->add_option("--page-token", page.token,
                   "Go on where the page before ended: nextPageToken of -o json, `more:` of a table")
      ->type_name("TOKEN");
}

// Sends it, prints the page, and says how to go on.
Outcome<ExitCode> SendForPage(const Verb& verb, const HttpClient::Request& request,
                              Outcome<std::string> (*render)(const Terminal&, std::string_view)) {
  MUSTER_ASSIGN(HttpClientOptions target, verb.client->Resolve());
  HttpClient client(std::move(target));
  std::string more;
  MUSTER_ASSIGN(const ExitCode code, SendAndPrint(client, request, verb.client->format(), [&](std::string_view json) {
                  more = NextPageToken(json);
                  return render(DescribeTerminal(STDOUT_FILENO), json);
                }));
  if (!more.empty()) PrintNote("more: --page-token " + more);
  return code;
}

void AddSearch(CLI::App& members, CommandContext& context) {
  const VerbApp added = AddVerb(members, "search", "Print the members that match a filter");
  struct Search {
    std::string filter;
    std::string order_by;
    ListPage page;
  };
  auto search = std::make_shared<Search>();
  added.app->add_option("FILTER", search->filter, "As AIP-160 has it: city = \"Suzhou\" AND tags:\"frequent\"");
  added.app->add_option("--order-by", search->order_by, "id, createTime, updateTime or birthDate; with desc downwards")
      ->type_name("ORDER");
  AddPageFlags(added, search->page, 1000, "How many members [50]");
  AddCommonFlags(added);
  added.app->footer(
      "Example:\n  muster member search 'city = \"Suzhou\" AND tags:\"frequent\"' --order-by 'updateTime desc'");
  added.app->callback([&context, verb = added.verb, search] {
    context.action = [verb, search]() -> Outcome<ExitCode> {
      for (const std::string* text : {&search->filter, &search->order_by, &search->page.token}) {
        if (!IsValidUtf8(*text)) return Fails(ExitCode::kUsage, "the filter, order or token is not UTF-8");
      }
      std::string body;
      JsonWriter json(body);
      json.BeginObject();
      json.Key("filter").String(search->filter);
      json.Key("orderBy").String(search->order_by);
      json.Key("pageSize").Number(search->page.size);
      json.Key("pageToken").String(search->page.token);
      json.EndObject();
      return SendForPage(*verb, {.method = "POST", .path = "/v1/members:search", .body = body}, RenderMembers);
    };
  });
}

void AddHistory(CLI::App& members, CommandContext& context) {
  const VerbApp added = AddVerb(members, "history", "Print what changed a member, newest first");
  auto page = std::make_shared<ListPage>();
  AddId(added);
  AddPageFlags(added, *page, 1000, "How many changes [50]");
  AddCommonFlags(added);
  added.app->callback([&context, verb = added.verb, page] {
    context.action = [verb, page]() -> Outcome<ExitCode> {
      MUSTER_ASSIGN(std::string path, MemberPath(*verb));
      path += "/history?pageSize=" + std::to_string(page->size);
      if (!page->token.empty()) path += "&pageToken=" + EscapeUrl(page->token);
      return SendForPage(*verb, {.path = std::move(path)}, RenderHistory);
    };
  });
}

}  // namespace

void AddMemberCommands(CLI::App& root, CommandContext& context) {
  CLI::App* members = AddCommandGroup(
      root, "member", "Get, resolve, search, register, update, bind, unbind, merge, unmerge and close members");
  AddGet(*members, context);
  AddResolve(*members, context);
  AddSearch(*members, context);
  AddHistory(*members, context);
  AddRegister(*members, context);
  AddUpdate(*members, context);
  AddBinding(*members, context, "bind", "Bind an identity to a member");
  AddBinding(*members, context, "unbind", "Take an identity from a member");
  AddMerging(*members, context, "merge", "Merge another member into a member, which gets its identities");
  AddMerging(*members, context, "unmerge", "Take a merge back; prints the member that was merged");
  AddClose(*members, context);
  members->group(kMembersGroup);
}

}  // namespace muster
