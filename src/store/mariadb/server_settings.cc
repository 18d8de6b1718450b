#include "store/mariadb/server_settings.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <string_view>

namespace muster {

std::string SettingFinding::Describe() const {
  return (is_unsafe ? "unsafe: " : "advice: ") + variable + " = " + value + ", needed: " + needed + ", for " + why +
         "; fix: " + fix;
}

namespace mariadb {
namespace {

// By how much the clocks of a group and of this process may differ: ages of operations are judged by one, and their
// numbers made by the other.
constexpr Duration kClockOffsetMax = std::chrono::seconds(2);

// When a rule is looked at.
enum class When : std::uint8_t { kAlways, kBinlog, kReplicated, kByHand };

// A variable that must have one value.
struct Rule {
  std::string_view variable;
  std::string_view needed;
  When when;
  bool is_unsafe;
  std::string_view why;
};

constexpr auto kRules = std::to_array<Rule>({
    {"innodb_flush_log_at_trx_commit", "1", When::kAlways, true,
     "a crash of the machine loses up to a second of acknowledged writes otherwise"},
    {"innodb_doublewrite", "ON", When::kAlways, true, "a crash within a write leaves a torn page otherwise"},
    {"wsrep_on", "OFF", When::kAlways, true,
     "Galera certifies after the commit was acknowledged to the client's session, and has lost updates"},
    {"sync_binlog", "1", When::kBinlog, true,
     "after a crash the binlog, and so each replica, may lack writes that were acknowledged"},
    {"binlog_format", "ROW", When::kBinlog, true, "statements may do something else on a replica"},
    {"gtid_strict_mode", "ON", When::kBinlog, true, "a replica that has diverged goes on silently otherwise"},
    {"log_bin", "ON", When::kReplicated, true, "without a binlog nothing is replicated"},
    {"log_slave_updates", "ON", When::kReplicated, true,
     "a replica that takes over cannot feed the others with what it got before"},
    {"rpl_semi_sync_master_enabled", "ON", When::kByHand, true,
     "a write is acknowledged before any replica has it otherwise"},
    {"rpl_semi_sync_master_wait_point", "AFTER_SYNC", When::kByHand, true,
     "others see a write before a replica has it, and a failover takes it back"},
    {"rpl_semi_sync_master_timeout", "4294967295", When::kByHand, true,
     "after this many milliseconds the server goes on without replicas, silently"},
    {"rpl_semi_sync_master_wait_no_slave", "ON", When::kByHand, true,
     "without a connected replica writes are acknowledged alone"},
    {"character_set_server", "utf8mb4", When::kAlways, false,
     "other tables made here would not hold every name (those of muster say it themselves)"},
});

bool Looks(const Rule& rule, bool has_binlog, Replication replication) {
  switch (rule.when) {
    case When::kAlways:
      return true;
    case When::kBinlog:
      return has_binlog;
    case When::kReplicated:
      return replication != Replication::kNone;
    case When::kByHand:
      return replication == Replication::kByHand;
  }
  return true;
}

std::string Upper(std::string_view text) {
  std::string upper(text);
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return upper;
}

void CheckReadOnlyAtStart(const ServerSettings& settings, std::vector<SettingFinding>& findings) {
  const auto read_only = settings.variables.find("read_only");
  // SET GLOBAL read_only = 0 is how a server is promoted; what it starts with cannot be seen then.
  if (read_only == settings.variables.end() || read_only->second != "OFF" || settings.read_only_origin == "SQL") return;
  findings.push_back({.variable = "read_only",
                      .value = "OFF since the server started",
                      .needed = "ON in the configuration",
                      .why = "an old primary that comes back after a failover would accept writes",
                      .fix = "read_only = ON under [mysqld]; whoever promotes the server turns it off",
                      .is_unsafe = true});
}

void CheckGrants(const ServerSettings& settings, std::vector<SettingFinding>& findings) {
  for (const std::string& grant : settings.grants) {
    const std::string text = Upper(grant);
    if (!text.contains(" ON *.* ")) continue;
    for (const std::string_view privilege : {"ALL PRIVILEGES", "SUPER", "READ ONLY ADMIN", "READ_ONLY ADMIN"}) {
      if (!text.contains(privilege)) continue;
      findings.push_back({.variable = "the account's grants",
                          .value = std::string(privilege) + " ON *.*",
                          .needed = "privileges on muster's database alone",
                          .why = "such an account writes to a server that is read-only, and so past a failover",
                          .fix = "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON <database>.* to an "
                                 "account of its own, and name that one in store.mariadb.user",
                          .is_unsafe = true});
      return;
    }
  }
}

void CheckClock(const ServerSettings& settings, std::vector<SettingFinding>& findings) {
  const Duration offset = settings.clock_offset < Duration(0) ? -settings.clock_offset : settings.clock_offset;
  if (offset <= kClockOffsetMax) return;
  findings.push_back(
      {.variable = "the clock",
       .value = std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(settings.clock_offset).count()) +
                " ms from this machine's",
       .needed = "at most 2 s",
       .why = "the ages of operations are judged by it",
       .fix = "run chrony or another NTP client on both machines",
       .is_unsafe = true});
}

void CheckSqlMode(const ServerSettings& settings, std::vector<SettingFinding>& findings) {
  const auto mode = settings.variables.find("sql_mode");
  if (mode == settings.variables.end() || mode->second.contains("STRICT_")) return;
  findings.push_back({.variable = "sql_mode",
                      .value = mode->second.empty() ? "''" : mode->second,
                      .needed = "STRICT_TRANS_TABLES",
                      .why =
                          "whoever works on the tables by hand would not be told of values that are cut (muster's own "
                          "sessions are strict)",
                      .fix = "sql_mode = STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION under [mysqld]"});
}

}  // namespace

Result<ServerSettings> ReadServerSettings(Connection& connection, const Clock& clock) {
  ServerSettings settings;
  MUSTER_ASSIGN(const auto variables, connection.Query("SHOW GLOBAL VARIABLES"));
  for (const Connection::Row& row : variables) settings.variables.emplace(row[0], row[1]);
  // MariaDB's alone.
  if (settings.variables.contains("gtid_strict_mode")) {
    MUSTER_ASSIGN(const auto origin,
                  connection.Query("SELECT GLOBAL_VALUE_ORIGIN FROM information_schema.SYSTEM_VARIABLES "
                                   "WHERE VARIABLE_NAME = 'READ_ONLY'"));
    if (!origin.empty()) settings.read_only_origin = origin[0][0];
  }
  MUSTER_ASSIGN(const auto grants, connection.Query("SHOW GRANTS"));
  for (const Connection::Row& row : grants) settings.grants.push_back(row[0]);
  const Timestamp before = clock.Now();
  MUSTER_ASSIGN(const std::int64_t there,
                connection.ReadInteger("SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)"));
  const Timestamp after = clock.Now();
  settings.clock_offset = Timestamp(Duration(there)) - (before + (after - before) / 2);
  return settings;
}

std::vector<SettingFinding> CheckServerSettings(const ServerSettings& settings, Replication replication) {
  std::vector<SettingFinding> findings;
  const auto log_bin = settings.variables.find("log_bin");
  const bool has_binlog = log_bin != settings.variables.end() && log_bin->second == "ON";
  for (const Rule& rule : kRules) {
    const auto variable = settings.variables.find(std::string(rule.variable));
    if (variable == settings.variables.end() || !Looks(rule, has_binlog, replication)) continue;
    if (Upper(variable->second) == Upper(rule.needed)) continue;
    findings.push_back({.variable = std::string(rule.variable),
                        .value = variable->second,
                        .needed = std::string(rule.needed),
                        .why = std::string(rule.why),
                        .fix = std::string(rule.variable) + " = " + std::string(rule.needed) + " under [mysqld]",
                        .is_unsafe = rule.is_unsafe});
  }
  if (replication != Replication::kNone) CheckReadOnlyAtStart(settings, findings);
  CheckGrants(settings, findings);
  CheckClock(settings, findings);
  CheckSqlMode(settings, findings);
  std::vector<SettingFinding> unsafe_first;
  for (const bool is_unsafe : {true, false}) {
    std::ranges::copy_if(findings, std::back_inserter(unsafe_first),
                         [&](const SettingFinding& finding) { return finding.is_unsafe == is_unsafe; });
  }
  return unsafe_first;
}

}  // namespace mariadb
}  // namespace muster
