#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "app/cli/messages.h"
#include "app/cli/progress.h"
#include "app/client/client_flags.h"
#include "app/commands/commands.h"
#include "app/transfer/export_file.h"
#include "app/transfer/exporter.h"
#include "base/clock.h"

namespace muster {
namespace {

struct ExportFlags {
  std::shared_ptr<ClientFlags> client;
  std::string output = "-";
};

Outcome<void> CheckStandardOutput() {
  if (std::ferror(stdout) != 0)
    return Fails(ExitCode::kFailure, "standard output could not be written; is the disk full?");
  return {};
}

Outcome<void> WriteToStandardOutput(std::string_view data) {
  PrintData(data);
  return CheckStandardOutput();
}

// What the buffer still holds may not fit where the rest did.
Outcome<void> FlushStandardOutput() {
  std::fflush(stdout);
  return CheckStandardOutput();
}

Outcome<ExitCode> Export(const ExportFlags& flags) {
  MUSTER_ASSIGN(HttpClientOptions target, flags.client->ResolveAdmin());
  HttpClient admin(std::move(target));
  const SystemClock clock;
  Progress progress("exporting", "members", clock);
  const auto progressed = [&progress](std::uint64_t members) { progress.Report(members, 0); };
  std::optional<ExportFile> file;
  if (flags.output != "-") {
    MUSTER_ASSIGN(ExportFile opened, ExportFile::Open(flags.output));
    file.emplace(std::move(opened));
  }
  const auto members = RunExport(
      admin, [&](std::string_view data) { return file ? file->Write(data) : WriteToStandardOutput(data); }, progressed);
  progress.Finish();
  if (!members) return std::unexpected(members.error());
  MUSTER_TRY(file ? file->Finish() : FlushStandardOutput());
  PrintNote(WithThousands(*members) + " members were exported");
  return ExitCode::kOk;
}

}  // namespace

void AddExportCommand(CLI::App& root, CommandContext& context) {
  CLI::App* command = root.add_subcommand("export", "Export all members as JSON Lines, in the order of their ids");
  command->group(kMembersGroup);
  auto flags = std::make_shared<ExportFlags>();
  command->add_option("FILE", flags->output, "Where to; - is standard output, the default")->type_name("FILE");
  flags->client = AddClientFlags(*command, "60s");
  command->footer(
      "What it writes is what `muster import` reads, personal values in clear. Needs the scopes members.import and "
      "personal.read.\n"
      "Each member is whole, and as it was when its part of the export was read. While others write that is not one\n"
      "moment: an identity that moves between members meanwhile can be with both or with neither, and an import of it\n"
      "rejects the second. So it is no backup; \"Backups\" in docs/operating.md says how to make one.\n"
      "Equal data gives equal bytes. A FILE appears when it is whole; a pipe or a device is written into.");
  command->callback([&context, flags] { context.action = [flags] { return Export(*flags); }; });
}

}  // namespace muster
