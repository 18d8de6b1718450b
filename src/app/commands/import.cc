#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <memory>

#include "app/cli/messages.h"
#include "app/cli/progress.h"
#include "app/client/client_flags.h"
#include "app/commands/commands.h"
#include "app/transfer/importer.h"
#include "base/clock.h"

namespace muster {
namespace {

constexpr std::uint64_t kRejectsShownMax = 10;

struct ImportFlags {
  std::shared_ptr<ClientFlags> client;
  ImportOptions options;
};

std::string Summary(const ImportSummary& summary, double seconds) {
  std::string text = WithThousands(summary.imported) + " members are in";
  if (summary.rejected > 0) text += ", " + WithThousands(summary.rejected) + " lines were rejected";
  const std::uint64_t lines = summary.lines - summary.resumed_lines;
  text += " (" + WithThousands(lines) + " lines in " + ShortDuration(seconds);
  if (seconds > 0.1)
    text += ", " + WithThousands(static_cast<std::uint64_t>(static_cast<double>(lines) / seconds)) + "/s";
  return text + ")";
}

// Nothing has to be put in order: whatever ends an import, the state file lets it go on. Only the user should know.
template <bool kCanResume>
void OnInterruption(int number) {
  static constexpr std::string_view kMessage =
      kCanResume ? "\nmuster: interrupted; run the same command again to go on\n"
                 : "\nmuster: interrupted; an import of standard input cannot be resumed\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kMessage.data(), kMessage.size());
  std::signal(number, SIG_DFL);
  std::raise(number);  // when this returns: the process ends as every interrupted one does
}

void SayHowToGoOn(const ImportOptions& options) {
  for (const int number : {SIGINT, SIGTERM}) {
    const auto former = std::signal(number, options.input == "-" ? OnInterruption<false> : OnInterruption<true>);
    if (former == SIG_IGN) std::signal(number, SIG_IGN);
  }
}

Outcome<ExitCode> Import(const ImportFlags& flags) {
  MUSTER_ASSIGN(HttpClientOptions server, flags.client->Resolve());
  MUSTER_ASSIGN(HttpClientOptions admin, ResolveAdminTarget(server));
  const SystemClock clock;
  Progress progress("importing", "lines", clock);
  std::uint64_t shown = 0;
  const ImportEvents events{
      .resumed =
          [](std::uint64_t lines) {
            PrintNote("Going on after line " + WithThousands(lines) + ", where an earlier import was interrupted.");
          },
      .progressed = [&progress](std::uint64_t lines, double fraction) { progress.ReportFraction(lines, fraction); },
      .rejected =
          [&](const Reject& reject) {
            if (++shown > kRejectsShownMax) return;
            progress.Finish();
            PrintNote("line " + std::to_string(reject.line) + ": " + reject.code + ": " + reject.detail);
            if (shown == kRejectsShownMax)
              PrintNote("… further rejected lines are not shown; --rejects FILE collects them");
          },
  };
  SayHowToGoOn(flags.options);
  const Instant begun = clock.Monotonic();
  const auto summary = RunImport(flags.options, HttpImportServices(std::move(server), std::move(admin)), clock, events);
  progress.Finish();
  if (!summary) return std::unexpected(summary.error());
  PrintNote(Summary(*summary, std::chrono::duration<double>(clock.Monotonic() - begun).count()));
  return summary->rejected > 0 ? ExitCode::kRejected : ExitCode::kOk;
}

}  // namespace

void AddImportCommand(CLI::App& root, CommandContext& context) {
  CLI::App* command = root.add_subcommand("import", "Import members from JSON Lines");
  command->group(kMembersGroup);
  auto flags = std::make_shared<ImportFlags>();
  command->add_option("FILE", flags->options.input, "One member a line, as the API writes it; - is standard input")
      ->type_name("FILE")
      ->required();
  command
      ->add_option("--rejects", flags->options.rejects_file,
                   "Write rejected lines there: line, code, detail, text; must be new or empty")
      ->type_name("FILE");
  command->add_option("--connections", flags->options.connections, "Batches under way [4]")
      ->check(CLI::Range(1, 64))
      ->type_name("N");
  flags->client = AddClientFlags(*command, "60s");
  command->footer(
      "A member may have an \"id\", which it keeps; without one it gets a number. Needs the scope members.import.\n"
      "An import of a file that was interrupted, whatever interrupted it, goes on when the same command is run again, "
      "and ends as\n"
      "if it had not been interrupted; until then FILE.muster-import remembers how far it is.\n"
      "Of two lines with the same id or identity the one that arrives first is in, which for lines close to each other "
      "may be\n"
      "either.\n"
      "Exit 0: all are in; 3: some lines were rejected; 4: the server was gone for too long.\n"
      "Example:\n  muster import members.jsonl --rejects rejected.jsonl");
  command->callback([&context, flags] { context.action = [flags] { return Import(*flags); }; });
}

}  // namespace muster
