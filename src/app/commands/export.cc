#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "app/cli/messages.h"
#include "app/cli/progress.h"
#include "app/client/client_flags.h"
#include "app/commands/commands.h"
#include "app/files.h"
#include "app/transfer/exporter.h"
#include "base/clock.h"

namespace muster {
namespace {

struct ExportFlags {
  std::shared_ptr<ClientFlags> client;
  std::string output = "-";
};

// A file that appears when it is whole: written beside its place (mode 0600: it holds personal data), then renamed.
class WholeFile {
 public:
  explicit WholeFile(std::string path) : path_(std::move(path)), temporary_(path_ + ".tmp") {}
  ~WholeFile() {
    if (file_ == nullptr) return;
    std::fclose(file_);
    unlink(temporary_.c_str());
  }
  Outcome<void> Open() {
    const int descriptor = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (descriptor < 0) return Refuse();
    file_ = fdopen(descriptor, "w");
    return {};
  }
  Outcome<void> Write(std::string_view data) {
    if (std::fwrite(data.data(), 1, data.size(), file_) != data.size()) return Refuse();
    return {};
  }
  Outcome<void> Finish() {
    if (std::fflush(file_) != 0 || fsync(fileno(file_)) != 0 || rename(temporary_.c_str(), path_.c_str()) != 0)
      return Refuse();
    std::fclose(std::exchange(file_, nullptr));
    return {};
  }

 private:
  std::unexpected<Failure> Refuse() const {
    return Fails(ExitCode::kFailure, "cannot write " + path_ + ": " + SystemMessage(errno));
  }
  const std::string path_;
  const std::string temporary_;
  std::FILE* file_ = nullptr;
};

Outcome<void> WriteToStandardOutput(std::string_view data) {
  PrintData(data);
  if (std::ferror(stdout) != 0)
    return Fails(ExitCode::kFailure, "standard output could not be written; is the disk full?");
  return {};
}

Outcome<ExitCode> Export(const ExportFlags& flags) {
  MUSTER_ASSIGN(HttpClientOptions target, flags.client->ResolveAdmin());
  HttpClient admin(std::move(target));
  const SystemClock clock;
  Progress progress("exporting", "members", clock);
  const auto progressed = [&progress](std::uint64_t members) { progress.Report(members, 0); };
  const bool to_file = flags.output != "-";
  WholeFile file(flags.output);
  if (to_file) MUSTER_TRY(file.Open());
  const auto members = RunExport(
      admin, [&](std::string_view data) { return to_file ? file.Write(data) : WriteToStandardOutput(data); },
      progressed);
  progress.Finish();
  if (!members) return std::unexpected(members.error());
  if (to_file) MUSTER_TRY(file.Finish());
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
      "Equal data gives equal bytes. A FILE appears when it is whole.");
  command->callback([&context, flags] { context.action = [flags] { return Export(*flags); }; });
}

}  // namespace muster
