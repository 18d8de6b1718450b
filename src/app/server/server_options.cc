#include "app/server/server_options.h"

#include <array>
#include <utility>

#include "app/client/target.h"
#include "app/server/route_trees.h"
#include "base/check.h"
#include "routing/routes.h"

namespace muster {
namespace {

constexpr std::array<std::pair<Normaliser, const char*>, 6> kNormalisers = {{{Normaliser::kPhone, "phone"},
                                                                             {Normaliser::kEmail, "email"},
                                                                             {Normaliser::kOpaque, "opaque"},
                                                                             {Normaliser::kCard, "card"},
                                                                             {Normaliser::kAccount, "account"},
                                                                             {Normaliser::kDocument, "document"}}};

const char* NormaliserName(Normaliser normaliser) {
  for (const auto& [value, name] : kNormalisers) {
    if (value == normaliser) return name;
  }
  MUSTER_UNREACHABLE("a normaliser without a name");
}

Normaliser NormaliserOf(const std::string& wanted) {
  for (const auto& [value, name] : kNormalisers) {
    if (wanted == name) return value;
  }
  MUSTER_UNREACHABLE("the option's choices and the normalisers differ");
}

std::vector<std::string> NormaliserNames() {
  std::vector<std::string> names;
  names.reserve(kNormalisers.size());
  for (const auto& [value, name] : kNormalisers) names.emplace_back(name);
  return names;
}

}  // namespace

ServerOptions::ServerOptions() : data_directory(kDefaultDataDirectory), routes_read(kEmbeddedReadRoute) {
  admin.listen = "127.0.0.1:7402";
  admin.threads = 1;
  for (const IdentityKind& kind : IdentityCatalog::Default().kinds()) {
    identity_kinds.push_back({.name = kind.name,
                              .scope = kind.scope == UniquenessScope::kGlobal ? "global" : "platform",
                              .members_limit = kind.members_limit,
                              .limit_per_platform = kind.limit_per_platform,
                              .normaliser = NormaliserName(kind.normaliser)});
  }
}

void ServerOptions::Declare(OptionRegistry& registry) {
  registry.AddString("data.directory", &data_directory,
                     "Where everything is kept; made with mode 0700 when it is not there.");
  registry.AddString(
      "data.keyring_file", &keyring_file,
      "The secrets that identities are hashed and personal values are sealed with; empty: keyring in the data "
      "directory. Keep a copy: without it the data cannot be read.");
  http.Declare(registry, "http");
  admin.Declare(registry, "admin");
  sqlite.Declare(registry);
  sweeper.Declare(registry);
  near.Declare(registry);
  registry.AddString("routes.read", &routes_read, "How a read finds its answer: a tree of policies around sources.");
  registry.AddTables<KindRow>(
      "identity.kinds", &identity_kinds,
      "The kinds of identity that a member can hold; given at all, they replace the built-in ones.",
      [](OptionRegistry& columns, KindRow& row) {
        columns.AddString("name", &row.name, "What callers call it: a lower-case word.");
        columns.AddString("scope", &row.scope, "Whether a value is unique everywhere or on each platform.",
                          {"global", "platform"});
        columns.AddInteger("members_limit", &row.members_limit,
                           "How many of it one member may hold; 0: no more are bound, and those that are stay.",
                           {.min = 0, .max = 100});
        columns.AddBoolean("limit_per_platform", &row.limit_per_platform, "Whether the limit counts on each platform.");
        columns.AddString("normaliser", &row.normaliser, "What makes one of a value's many spellings.",
                          NormaliserNames());
      });
  registry.AddStrings(
      "identity.platforms", &identity_platforms,
      "The platforms on which identities are bound; empty: any lower-case word. Those that are bound elsewhere "
      "stay, are found and can be unbound.");
  registry.AddString("identity.default_region", &identity_default_region,
                     "The region (ISO 3166) of phone numbers without a country code.");
  registry.AddString("log.format", &log_format, "How a log line is written.", {"logfmt", "json"});
  registry.AddString("log.level", &log_level, "The least severe lines that are written.",
                     {"debug", "info", "warning", "error"});
  registry.AddString("log.file", &log_file, "Where the log goes; empty: standard error.");
}

std::string ServerOptions::keyring_path() const {
  return keyring_file.empty() ? data_directory + "/keyring" : keyring_file;
}

LogOptions ServerOptions::log() const {
  LogOptions options;
  options.format = log_format == "json" ? LogFormat::kJson : LogFormat::kLogfmt;
  options.level = log_level == "debug"     ? LogLevel::kDebug
                  : log_level == "warning" ? LogLevel::kWarning
                  : log_level == "error"   ? LogLevel::kError
                                           : LogLevel::kInfo;
  options.file = log_file;
  return options;
}

Result<IdentityCatalog> ServerOptions::MakeCatalog() const {
  std::vector<IdentityKind> kinds;
  kinds.reserve(identity_kinds.size());
  for (const KindRow& row : identity_kinds) {
    kinds.push_back({.name = row.name,
                     .scope = row.scope == "global" ? UniquenessScope::kGlobal : UniquenessScope::kPlatform,
                     .members_limit = static_cast<int>(row.members_limit),
                     .limit_per_platform = row.limit_per_platform,
                     .normaliser = NormaliserOf(row.normaliser)});
  }
  return IdentityCatalog::Make(std::move(kinds), identity_platforms, identity_default_region);
}

Result<void> CheckServerOptions(const ServerOptions& options) {
  MUSTER_TRY(options.MakeCatalog());
  return CheckRouteExpression(options.routes_read);
}

}  // namespace muster
