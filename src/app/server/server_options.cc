#include "app/server/server_options.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "api/http_listen.h"
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
  grpc.Declare(registry);
  admin.Declare(registry, "admin");
  deadlines.Declare(registry);
  registry.AddString("store.kind", &store_kind,
                     "Where members live: in SQLite files in the data directory, or on the groups of MariaDB servers "
                     "that store.mariadb.groups names. Of one server there is one kind; members do not move by "
                     "themselves.",
                     {"sqlite", "mariadb"});
  sqlite.Declare(registry);
  mariadb.Declare(registry);
  center.Declare(registry);
  sweeper.Declare(registry);
  answers.Declare(registry);
  near.Declare(registry);
  search.Declare(registry);
  changes.Declare(registry);
  registry.AddString(
      "routes.read", &routes_read,
      "How a read finds its answer: a tree of policies around sources. With store.kind = \"mariadb\" it is "
      "\"store\", or with cache.redis.centers \"cache(tracked, cache(redis, store))\": other processes write, too, and "
      "what is kept here or shared could be stale.");
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

std::string ServerOptions::topology_path() const { return data_directory + "/topology.json"; }

std::string ServerOptions::read_route() const {
  if (!is_mariadb() || routes_read != kEmbeddedReadRoute) return routes_read;
  if (center.caches.empty()) return "store";
  return center.tracked_bytes > 0 ? "cache(tracked, cache(redis, store))" : "cache(redis, store)";
}

NearCacheOptions ServerOptions::near_cache() const {
  NearCacheOptions options = near;
  options.enabled = near.enabled && !is_mariadb();
  return options;
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

namespace {

// Begins a refusal with the place where `option` was set, as the options' own do.
Error At(const OptionRegistry& registry, std::string_view option, Error error) {
  for (const OptionRegistry::Current& current : registry.Explain()) {
    if (current.spec->name == option && current.source != "default") {
      error.message = current.source + ": " + error.message;
    }
  }
  return error;
}

// The catalog names its fields below `identity`: "kinds[0].name".
Result<void> CheckCatalog(const ServerOptions& options, const OptionRegistry& registry) {
  const Result<IdentityCatalog> catalog = options.MakeCatalog();
  if (catalog) return {};
  Error error = catalog.error();
  if (error.violations.empty()) return Fail(std::move(error));
  FieldViolation& violation = error.violations[0];
  violation.field = "identity." + violation.field;
  error.message = violation.field + " " + violation.description;
  return Fail(At(registry, violation.field.substr(0, violation.field.find('[')), std::move(error)));
}

// The message of a store's options begins with the name of one.
Result<void> CheckStore(const ServerOptions& options, const OptionRegistry& registry) {
  const auto refuse = [&](std::string_view option, std::string message) {
    return Fail(At(registry, option, {.reason = Reason::kInvalidArgument, .message = std::move(message)}));
  };
  if (!options.is_mariadb()) {
    if (options.mariadb.groups.empty()) return {};
    return refuse("store.mariadb.groups",
                  "store.mariadb.groups are named and store.kind is sqlite: set store.kind = \"mariadb\", or take "
                  "the groups away");
  }
  if (options.center.is_etcd() && !options.mariadb.groups.empty()) {
    return refuse("store.mariadb.groups",
                  "store.mariadb.groups are named and topology.kind is etcd: the topology names them; take the tables "
                  "away");
  }
  if (options.mariadb.groups.empty() && !options.center.is_etcd()) {
    return refuse("store.kind",
                  "store.kind is mariadb and there are no groups: name each in a table [[store.mariadb.groups]] with "
                  "its primary");
  }
  const GroupsNamed named = options.center.is_etcd() ? GroupsNamed::kByTopology : GroupsNamed::kByOptions;
  if (auto checked = CheckMariadbOptions(options.mariadb, named); !checked) {
    const std::string& message = checked.error().message;
    const std::string option = message.substr(0, message.find_first_not_of("abcdefghijklmnopqrstuvwxyz._"));
    return Fail(At(registry, option, std::move(checked).error()));
  }
  if (options.center.is_etcd() || options.read_route() == "store") return {};
  return refuse("routes.read", "routes.read is \"" + options.routes_read +
                                   "\", and store.kind is mariadb: leave it out, or say \"store\"; what other "
                                   "processes write is not heard of in time to keep members or share reads");
}

Result<void> CheckAddresses(const ServerOptions& options, const OptionRegistry& registry) {
  const std::array<std::pair<const char*, const std::string*>, 3> addresses = {
      {{"http.listen", &options.http.listen},
       {"grpc.listen", &options.grpc.listen},
       {"admin.listen", &options.admin.listen}}};
  for (const auto& [name, listen] : addresses) {
    if (auto checked = CheckListenAddress(*listen, name); !checked) {
      return Fail(At(registry, name, std::move(checked).error()));
    }
  }
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const auto& [name, listen] = addresses[i];
    for (std::size_t j = i + 1; j < addresses.size(); ++j) {
      const auto& [other_name, other] = addresses[j];
      if (!ListenAddressesCollide(*listen, *other)) continue;
      return Fail(At(registry, name,
                     {.reason = Reason::kInvalidArgument,
                      .message = std::string(name) + " " + *listen + " and " + other_name + " " + *other +
                                 " want the same port: give each one of its own"}));
    }
  }
  return {};
}

Result<void> CheckLogFile(const std::string& path) {
  if (path.empty()) return {};
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  std::error_code error;
  const bool is_there = std::filesystem::exists(path, error);
  const std::string wanted = is_there ? path : parent.empty() ? "." : parent.string();
  const int is_denied = faccessat(AT_FDCWD, wanted.c_str(), W_OK, AT_EACCESS) == 0 ? 0 : errno;
  const bool is_folder = std::filesystem::is_directory(wanted, error);
  if (is_denied == 0 && is_folder != is_there) return {};
  const std::error_condition why = is_denied != 0 ? std::generic_category().default_error_condition(is_denied)
                                   : is_there     ? make_error_condition(std::errc::is_a_directory)
                                                  : make_error_condition(std::errc::not_a_directory);
  return Fail(Reason::kInvalidArgument,
              "log.file " + path + " cannot be opened: " + why.message() + "; its folder must exist and be writable");
}

}  // namespace

Result<void> CheckServerOptions(const ServerOptions& options, const OptionRegistry& registry) {
  MUSTER_TRY(CheckCatalog(options, registry));
  if (auto checked = CheckRouteExpression(options.routes_read, !options.center.caches.empty()); !checked) {
    return Fail(At(registry, "routes.read", std::move(checked).error()));
  }
  if (options.data_directory.empty()) {
    return Fail(At(registry, "data.directory",
                   {.reason = Reason::kInvalidArgument, .message = "data.directory is empty: name a directory"}));
  }
  MUSTER_TRY(CheckStore(options, registry));
  if (auto checked = CheckCenterOptions(options.center, options.is_mariadb()); !checked) {
    const std::string& message = checked.error().message;
    const std::string option = message.substr(0, message.find_first_not_of("abcdefghijklmnopqrstuvwxyz._"));
    return Fail(At(registry, option, std::move(checked).error()));
  }
  MUSTER_TRY(CheckAddresses(options, registry));
  if (auto checked = CheckLogFile(options.log_file); !checked) {
    return Fail(At(registry, "log.file", std::move(checked).error()));
  }
  return {};
}

}  // namespace muster
