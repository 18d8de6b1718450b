#include <CLI/CLI.hpp>
#include <functional>

#include "app/cli/help.h"
#include "app/cli/messages.h"
#include "app/commands/commands.h"
#include "app/output/reference_pages.h"

namespace muster {
namespace {

using Page = std::function<Outcome<std::string>()>;

void AddPage(CLI::App& reference, CommandContext& context, const char* name, const char* description, Page page) {
  reference.add_subcommand(name, description)->callback([&context, page = std::move(page)] {
    context.action = [page]() -> Outcome<ExitCode> {
      MUSTER_ASSIGN(const std::string text, page());
      PrintData(text);
      return ExitCode::kOk;
    };
  });
}

}  // namespace

void AddReferenceCommands(CLI::App& root, CommandContext& context) {
  CLI::App* reference =
      AddCommandGroup(root, "reference", "Print the generated pages of the documentation, as Markdown");
  AddPage(*reference, context, "options", "Every option of a server", [] { return OptionsReference(); });
  AddPage(*reference, context, "errors", "Every error code", [] { return ErrorsReference(); });
  AddPage(*reference, context, "metrics", "Every metric", [] { return MetricsReference(); });
  AddPage(*reference, context, "exit-codes", "Every exit code", [] { return ExitCodesReference(); });
  AddPage(*reference, context, "findings", "Everything that the doctor can find", [] { return FindingsReference(); });
  AddPage(*reference, context, "cli", "Every command", [&root] { return CommandReference(root); });
  reference->group(kHelpGroup);
}

}  // namespace muster
