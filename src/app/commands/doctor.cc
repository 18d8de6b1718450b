#include "store/doctor.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <utility>

#include "app/cli/messages.h"
#include "app/cli/progress.h"
#include "app/client/client_flags.h"
#include "app/commands/commands.h"
#include "app/commands/server_flags.h"
#include "app/files.h"
#include "app/output/table.h"
#include "domain/json_writer.h"
#include "domain/keyring.h"
#include "store/doctor_findings.h"
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

Outcome<ExitCode> Examine(const ServerFlags& flags, OutputFormat format) {
  MUSTER_ASSIGN(const ServerOptions options, LoadServerOptions(flags));
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
  ExamineTopology(options.data_directory + "/topology.json", *examination);
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
  CLI::App* command = root.add_subcommand("doctor", "Examine a data directory that no server uses");
  command->group(kOperateGroup);
  auto flags = std::make_shared<ServerFlags>();
  auto format = std::make_shared<std::string>("table");
  command->add_option("--data", flags->data_directory, "The data directory [muster-data]")->type_name("DIR");
  command->add_option("--config", flags->config_file, "The server's configuration, when its keyring lies elsewhere")
      ->type_name("FILE");
  AddFormatFlag(*command, *format);
  command->footer(
      "Compares everything with everything: each lookup row with its owner and back, each identity's key with its "
      "value, history\n"
      "with versions, topology.json, and SQLite's own check. Changes nothing. Exit 0: sound, harmless findings "
      "included; 1: damage.");
  command->callback([&context, flags, format] {
    context.action = [flags, format] { return Examine(*flags, ParseFormat(*format)); };
  });
}

}  // namespace muster
