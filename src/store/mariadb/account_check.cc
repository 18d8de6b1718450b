#include "store/mariadb/account_check.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <string_view>

#include "store/mariadb/replication_session.h"

namespace muster::mariadb {
namespace {

constexpr Timeouts kAskTimeouts{.connect = std::chrono::seconds(2), .statement = std::chrono::seconds(5)};

constexpr std::string_view kEverything = "ALL PRIVILEGES";
const std::vector<std::string> kToReceive = {"REPLICATION SLAVE"};

// What the control account has to have, and on what.
struct Need {
  std::string scope;
  std::vector<std::string> privileges;
};

std::vector<Need> NeedsOf(const ReplicationOptions& options) {
  return {{.scope = "*.*",
           .privileges = {"REPLICATION SLAVE", "REPLICATION SLAVE ADMIN", "REPLICATION MASTER ADMIN", "BINLOG ADMIN",
                          "BINLOG MONITOR", "SLAVE MONITOR", "READ ONLY ADMIN", "CONNECTION ADMIN", "CREATE USER",
                          "RELOAD", "PROCESS"}},
          {.scope = "`mysql`.*", .privileges = {"SELECT"}},
          {.scope = "`muster_control`.*", .privileges = {std::string(kEverything)}},
          {.scope = "`" + options.database + "`.*", .privileges = {std::string(kEverything)}}};
}

std::string ListOf(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// Of "GRANT a, b ON scope TO …", if it is for `scope`; READ_ONLY ADMIN is how 10.11 writes READ ONLY ADMIN.
std::set<std::string> PrivilegesIn(std::string grant, const std::string& scope) {
  constexpr std::string_view kBegin = "GRANT ";
  const std::size_t end = grant.find(" ON " + scope + " ");
  if (!grant.starts_with(kBegin) || end == std::string::npos) return {};
  grant = grant.substr(kBegin.size(), end - kBegin.size());
  std::ranges::replace(grant, '_', ' ');
  std::set<std::string> privileges;
  for (std::size_t at = 0; at < grant.size();) {
    const std::size_t comma = std::min(grant.find(", ", at), grant.size());
    privileges.insert(grant.substr(at, comma - at));
    at = comma + 2;
  }
  return privileges;
}

Result<std::vector<std::string>> GrantsOf(Connection& connection, const std::string& whose) {
  MUSTER_ASSIGN(const auto rows, connection.Query("SHOW GRANTS" + whose));
  std::vector<std::string> grants;
  grants.reserve(rows.size());
  for (const Connection::Row& row : rows) grants.push_back(row[0]);
  return grants;
}

SettingFinding Lacking(const std::string& account, const std::string& value, const std::vector<std::string>& needed,
                       const std::string& scope, const std::string& why) {
  const std::string wanted = ListOf(needed) + " ON " + scope;
  return {.variable = "the grants of " + account,
          .value = value,
          .needed = wanted,
          .why = why,
          .fix = "GRANT " + wanted + " TO " + account + "@…, at the primary",
          .is_unsafe = true};
}

void CheckControl(const ReplicationOptions& options, const std::vector<std::string>& grants,
                  std::vector<SettingFinding>& findings) {
  for (const Need& need : NeedsOf(options)) {
    const std::vector<std::string> missing = MissingPrivileges(grants, need.scope, need.privileges);
    if (missing.empty()) continue;
    findings.push_back(Lacking(options.control.user, "without these", missing, need.scope,
                               "no order of a failover would be obeyed there in full"));
  }
}

Result<void> CheckReplica(Connection& connection, const std::string& user, std::vector<SettingFinding>& findings) {
  constexpr const char* kWhy = "that database could not follow this one";
  MUSTER_ASSIGN(const auto hosts,
                connection.Query("SELECT Host FROM mysql.global_priv WHERE User = " + connection.Quote(user)));
  bool may_receive = false;
  for (const Connection::Row& host : hosts) {
    MUSTER_ASSIGN(const auto grants,
                  GrantsOf(connection, " FOR " + connection.Quote(user) + "@" + connection.Quote(host[0])));
    may_receive = may_receive || MissingPrivileges(grants, "*.*", kToReceive).empty();
  }
  if (!may_receive) {
    findings.push_back(
        Lacking(user, hosts.empty() ? "there is no such account" : "without it", kToReceive, "*.*", kWhy));
  }
  return {};
}

}  // namespace

std::vector<std::string> MissingPrivileges(const std::vector<std::string>& grants, const std::string& scope,
                                           const std::vector<std::string>& needed) {
  std::set<std::string> given;
  for (const std::string& grant : grants) {
    for (const std::string& where : {std::string("*.*"), scope}) given.merge(PrivilegesIn(grant, where));
  }
  std::vector<std::string> missing;
  if (given.contains(std::string(kEverything))) return missing;
  std::ranges::copy_if(needed, std::back_inserter(missing),
                       [&](const std::string& privilege) { return !given.contains(privilege); });
  return missing;
}

Result<std::vector<SettingFinding>> CheckAccounts(const ReplicationOptions& options) {
  std::vector<SettingFinding> findings;
  MUSTER_ASSIGN(const auto opened, Connection::Open(options.endpoint, options.control, "", kAskTimeouts, Use::kWrite));
  Connection& connection = *opened;
  MUSTER_ASSIGN(const auto grants, GrantsOf(connection, ""));
  CheckControl(options, grants, findings);
  // The rest is read by what was just found to be lacking.
  if (!findings.empty()) return findings;
  for (const std::string& peer : options.peers) {
    MUSTER_TRY(CheckReplica(connection, options.replica_user_prefix + peer, findings));
  }
  MUSTER_ASSIGN(const failover::DatabaseState state, ReadState(connection, options));
  if (!state.refused.empty()) {
    findings.push_back({.variable = "replication from " + state.following,
                        .value = "refused",
                        .needed = "let in",
                        .why = "the database receives nothing",
                        .fix = "there, put right the password or the grants of " + options.replica_user_prefix +
                               options.name + ": " + state.refused,
                        .is_unsafe = true});
  }
  return findings;
}

}  // namespace muster::mariadb
