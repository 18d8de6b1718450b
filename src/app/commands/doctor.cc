#include "store/doctor.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "app/cli/messages.h"
#include "app/cli/progress.h"
#include "app/client/client_flags.h"
#include "app/commands/commands.h"
#include "app/commands/server_flags.h"
#include "app/files.h"
#include "app/output/table.h"
#include "app/server/database_commands.h"
#include "app/server/member_data.h"
#include "domain/json_writer.h"
#include "domain/keyring.h"
#include "store/doctor_findings.h"
#include "store/mariadb/account_check.h"
#include "store/mariadb/mariadb_store.h"
#include "topology/topology.h"

namespace muster {
namespace {

std::string ExaminationJson(const Examination& examination) {
  std::string out;
  JsonWriter json(out);
  const auto count = [&json](const char* name, std::uint64_t value) {
    json.Key(name).Number64(static_cast<std::int64_t>(value));
  };
  json.BeginObject();
  count("members", examination.members);
  count("identities", examination.identities);
  count("lookups", examination.lookups);
  count("changes", examination.changes);
  count("history", examination.history);
  json.Key("membersBySealKey").BeginArray();
  for (const auto& [key_id, members] : examination.members_by_seal_key) {
    json.BeginObject();
    json.Key("keyId").Number(key_id);
    count("members", members);
    json.EndObject();
  }
  json.EndArray();
  count("findingsTotal", examination.findings_total);
  count("damageTotal", examination.damage_total);
  json.Key("findings").BeginArray();
  for (const Finding& finding : examination.findings) {
    json.BeginObject();
    json.Key("code").String(finding.code);
    json.Key("severity").String(finding.is_damage ? "DAMAGE" : "HARMLESS");
    json.Key("subject").String(finding.subject);
    json.Key("detail").String(finding.detail);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  return out;
}

std::string ExaminationTable(const Examination& examination) {
  const Terminal terminal = DescribeTerminal(STDOUT_FILENO);
  std::string sealed;
  for (const auto& [key_id, members] : examination.members_by_seal_key) {
    sealed += (sealed.empty() ? "" : ", ") + std::to_string(members) + " with key " + std::to_string(key_id);
  }
  std::string out = RenderFields(terminal, {{"members", std::to_string(examination.members)},
                                            {"identities", std::to_string(examination.identities)},
                                            {"lookup rows", std::to_string(examination.lookups)},
                                            {"history rows", std::to_string(examination.history)},
                                            {"change rows", std::to_string(examination.changes)},
                                            {"sealed", sealed},
                                            {"findings", std::to_string(examination.findings_total)}});
  if (examination.findings.empty()) return out;
  Table findings({{"SEVERITY"}, {"CODE"}, {"SUBJECT"}, {"DETAIL"}});
  for (const Finding& finding : examination.findings) {
    findings.AddRow({finding.is_damage ? "damage" : "harmless", finding.code, finding.subject, finding.detail});
  }
  out += "\n" + findings.Render(terminal);
  if (examination.findings_total > examination.findings.size()) {
    out += "… and " + std::to_string(examination.findings_total - examination.findings.size()) + " more\n";
  }
  return out;
}

// The store knows nothing of the topology beside it. A server without one begins a new one, with one new administrator.
void ExamineTopology(const std::string& path, Examination& examination) {
  std::string detail;
  if (FileExists(path)) {
    const auto topology = OpenTopologyFile(path);
    if (topology) return;
    detail = topology.error().message;
  } else {
    if (examination.members == 0) return;
    detail = "it is missing, and with it every caller's account: restore it from a backup before a server starts here";
  }
  const FindingKind& kind = FindingKindOf("TOPOLOGY_UNREADABLE");
  ++examination.findings_total;
  ++examination.damage_total;
  examination.findings.insert(
      examination.findings.begin(),
      {.code = std::string(kind.code), .is_damage = kind.is_damage, .subject = path, .detail = std::move(detail)});
}

struct ServerFinding {
  std::string server;
  SettingFinding finding;
};

std::string SettingsJson(const std::vector<ServerFinding>& findings, std::size_t unsafe) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Key("findingsTotal").Number64(static_cast<std::int64_t>(findings.size()));
  json.Key("unsafeTotal").Number64(static_cast<std::int64_t>(unsafe));
  json.Key("findings").BeginArray();
  for (const auto& [server, finding] : findings) {
    json.BeginObject();
    json.Key("severity").String(finding.is_unsafe ? "UNSAFE" : "ADVICE");
    json.Key("server").String(server);
    json.Key("variable").String(finding.variable);
    json.Key("value").String(finding.value);
    json.Key("needed").String(finding.needed);
    json.Key("why").String(finding.why);
    json.Key("fix").String(finding.fix);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  return out;
}

std::string SettingsTable(const std::vector<ServerFinding>& findings) {
  if (findings.empty()) return "";
  Table table({{"SEVERITY"}, {"SERVER"}, {"VARIABLE"}, {"VALUE"}, {"NEEDED"}, {"WHY"}, {"FIX"}});
  for (const auto& [server, finding] : findings) {
    table.AddRow({finding.is_unsafe ? "unsafe" : "advice", server, finding.variable, finding.value, finding.needed,
                  finding.why, finding.fix});
  }
  return table.Render(DescribeTerminal(STDOUT_FILENO));
}

struct DatabaseServer {
  MariadbOptions::GroupRow row;
  std::optional<mariadb::ReplicationOptions> commanded;  // by a failover
};

// Each server that can be a primary: that of each group in the configuration, all databases of a topology in etcd.
Outcome<std::vector<DatabaseServer>> ServersOf(const ServerOptions& options, const Clock& clock) {
  std::vector<DatabaseServer> servers;
  if (!options.center.is_etcd()) {
    for (const MariadbOptions::GroupRow& row : options.mariadb.groups) servers.push_back({.row = row, .commanded = {}});
    return servers;
  }
  MUSTER_ASSIGN(const CommandAccounts accounts, ReadCommandAccounts(options.center));
  SystemRandom random;
  MUSTER_ASSIGN(const auto topology, OpenTopologyStore(options, clock, random));
  const auto document = topology->Read();
  if (!document) return Fails(document.error());
  for (const GroupRecord& group : (*document)->groups) {
    for (const DatabaseRecord& database : group.databases) {
      MariadbOptions::GroupRow row{
          .primary = database.AddressFrom(options.center.center), .replicas = {}, .database = options.mariadb.database};
      for (const DatabaseRecord& other : group.databases) {
        if (other.name != database.name) row.replicas.push_back(other.AddressFrom(options.center.center));
      }
      auto commanded = CommandsOf(options.center.center, accounts, group, database);
      if (!commanded) return Fails(commanded.error());
      commanded->database = options.mariadb.database;
      servers.push_back({.row = std::move(row), .commanded = *std::move(commanded)});
    }
  }
  return servers;
}

// Of MariaDB groups: the settings of their servers. Rows are not compared yet.
Outcome<ExitCode> ExamineServers(const ServerOptions& options, OutputFormat format) {
  const SystemClock clock;
  const GroupsNamed named = options.center.is_etcd() ? GroupsNamed::kByTopology : GroupsNamed::kByOptions;
  MUSTER_ASSIGN(const std::vector<DatabaseServer> servers, ServersOf(options, clock));
  std::vector<ServerFinding> findings;
  std::size_t unsafe = 0;
  std::string unreached;
  for (const auto& [row, commanded] : servers) {
    MariadbOptions one = options.mariadb;
    one.groups = {row};
    auto checked = CheckMariadbSettings(one, clock, named);
    if (checked && commanded) {
      if (const auto accounts = mariadb::CheckAccounts(*commanded)) {
        checked->front().insert(checked->front().end(), accounts->begin(), accounts->end());
      } else {
        checked = std::unexpected(accounts.error());
      }
    }
    if (!checked) {
      unreached += (unreached.empty() ? "" : "; ") + checked.error().message;
      continue;
    }
    for (const SettingFinding& finding : checked->front()) {
      findings.push_back({.server = row.primary + "/" + row.database, .finding = finding});
      if (finding.is_unsafe) ++unsafe;
    }
  }
  if (servers.size() == 1 && !unreached.empty()) return Fails(ExitCode::kFailure, unreached);
  MUSTER_TRY(PrintAs(format, SettingsJson(findings, unsafe),
                     [&](std::string_view) -> Outcome<std::string> { return SettingsTable(findings); }));
  if (unsafe > 0) {
    return Fails(ExitCode::kFailure,
                 "by what is unsafe acknowledged writes can be lost, or a failover does not get on; a server does not "
                 "start on unsafe settings unless store.mariadb.allow_unsafe_settings says so");
  }
  if (!unreached.empty()) return Fails(ExitCode::kFailure, "not all servers could be asked: " + unreached);
  PrintNote(findings.empty() ? "No finding: the settings and accounts of all servers are safe."
                             : "The settings of all servers are safe; the findings are advice.");
  return ExitCode::kOk;
}

Outcome<ExitCode> Examine(const ServerFlags& flags, OutputFormat format) {
  MUSTER_ASSIGN(const ServerOptions options, LoadServerOptions(flags));
  if (options.is_mariadb()) return ExamineServers(options, format);
  if (!FileExists(options.data_directory))
    return Fails(ExitCode::kFailure, "there is no data directory " + options.data_directory);
  const auto keyring = Keyring::Load(options.keyring_path());
  if (!keyring) return Fails(keyring.error());
  const SystemClock clock;
  Progress progress("examining", "rows", clock);
  auto examination =
      ExamineStore(options.data_directory, *keyring,
                   [&progress](std::uint64_t done, std::uint64_t total) { progress.Report(done, total); });
  progress.Finish();
  if (!examination) return Fails(examination.error());
  ExamineTopology(options.topology_path(), *examination);
  MUSTER_TRY(PrintAs(format, ExaminationJson(*examination),
                     [&](std::string_view) -> Outcome<std::string> { return ExaminationTable(*examination); }));
  if (examination->damage_total > 0) {
    return Fails(ExitCode::kFailure,
                 options.data_directory + " is damaged; keep a copy of it before anything else writes to it");
  }
  PrintNote(examination->findings_total == 0 ? "No finding: the data is sound."
                                             : "The data is sound; the findings are harmless.");
  return ExitCode::kOk;
}

}  // namespace

void AddDoctorCommand(CLI::App& root, CommandContext& context) {
  CLI::App* command = root.add_subcommand(
      "doctor", "Examine a data directory that no server uses, or the settings of the MariaDB servers");
  command->group(kOperateGroup);
  auto flags = std::make_shared<ServerFlags>();
  auto format = std::make_shared<std::string>("table");
  command->add_option("--data", flags->data_directory, "The data directory [muster-data]")->type_name("DIR");
  command
      ->add_option("--config", flags->config_file,
                   "The server's configuration, when its keyring or its members lie elsewhere")
      ->type_name("FILE");
  AddFormatFlag(*command, *format);
  command->footer(
      "Compares everything with everything: each lookup row with its owner and back, each identity's key with its "
      "value, history\n"
      "with versions, topology.json, and SQLite's own check. Changes nothing. Exit 0: sound, harmless findings "
      "included; 1: damage.\n"
      "With store.kind = \"mariadb\" in --config it asks each group's primary for its settings, also while servers "
      "run: what can lose\n"
      "acknowledged writes, and how to change it; with two centers every database, and what the accounts lack that a "
      "failover needs.\n"
      "Exit 0: safe, advice included; 1: unsafe, or a server that could not be asked.");
  command->callback([&context, flags, format] {
    context.action = [flags, format] { return Examine(*flags, ParseFormat(*format)); };
  });
}

}  // namespace muster
