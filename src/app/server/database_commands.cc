#include "app/server/database_commands.h"

#include <cstddef>
#include <utility>

#include "app/files.h"

namespace muster {
namespace {

constexpr std::size_t kPasswordBytesMax = 4096;

Outcome<Pii<std::string>> ReadPasswordFile(const std::string& path) {
  if (path.empty()) return Pii<std::string>();
  MUSTER_ASSIGN(std::string text, ReadSmallFile(path, kPasswordBytesMax));
  return Pii(text.substr(0, text.find('\n')));
}

}  // namespace

Outcome<CommandAccounts> ReadCommandAccounts(const CenterOptions& options) {
  MUSTER_ASSIGN(Pii<std::string> control, ReadPasswordFile(options.control_password_file));
  MUSTER_ASSIGN(Pii<std::string> replica, ReadPasswordFile(options.replica_password_file));
  return CommandAccounts{.control = {options.control_user, std::move(control)},
                         .replica_user_prefix = options.replica_user_prefix,
                         .replica_password = std::move(replica)};
}

Result<mariadb::ReplicationOptions> CommandsOf(const std::string& center, const CommandAccounts& accounts,
                                               const GroupRecord& group, const DatabaseRecord& database) {
  auto endpoint = mariadb::Endpoint::Parse(database.AddressFrom(center));
  if (!endpoint) {
    return Fail(Reason::kInvalidArgument,
                "database " + database.name + " of the topology: " + endpoint.error().message);
  }
  mariadb::ReplicationOptions options;
  options.name = database.name;
  options.endpoint = *std::move(endpoint);
  options.control = accounts.control;
  options.replica_user_prefix = accounts.replica_user_prefix;
  options.replica_password = accounts.replica_password;
  for (const DatabaseRecord& other : group.databases) {
    if (other.name != database.name) options.peers.push_back(other.name);
  }
  return options;
}

}  // namespace muster
