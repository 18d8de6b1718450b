#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "app/cli/messages.h"
#include "app/cli/progress.h"
#include "app/commands/commands.h"
#include "app/demo/banner.h"
#include "app/demo/demo_load.h"
#include "app/demo/demo_members.h"
#include "app/server/member_directory.h"
#include "app/server/process.h"
#include "app/server/server.h"
#include "app/temporary_directory.h"
#include "base/option_text.h"

namespace muster {
namespace {

constexpr std::uint64_t kSeed = 1;
constexpr auto kTerminalPeriod = std::chrono::seconds(1);
constexpr auto kPlainPeriod = std::chrono::seconds(10);

struct DemoFlags {
  std::uint64_t members = 100'000;
  std::string duration;
  std::string http_listen = "127.0.0.1:7400";
  std::string grpc_listen = "127.0.0.1:7401";
  std::string admin_listen = "127.0.0.1:7402";
  bool no_load = false;
};

ServerOptions OptionsOf(const DemoFlags& flags, const std::string& directory) {
  ServerOptions options;
  options.data_directory = directory;
  options.sqlite.durable = false;  // nothing of it outlives the process
  options.http.listen = flags.http_listen;
  options.grpc.listen = flags.grpc_listen;
  options.admin.listen = flags.admin_listen;
  options.log_level = "warning";
  return options;
}

// The server calls its addresses by options of `serve`; here they come from flags.
std::string WithFlags(std::string message) {
  for (const auto& [option, flag] :
       {std::pair("http.listen", "--http"), std::pair("grpc.listen", "--grpc"), std::pair("admin.listen", "--admin")}) {
    for (std::size_t at = message.find(option); at != std::string::npos; at = message.find(option, at)) {
      message.replace(at, std::string_view(option).size(), flag);
    }
  }
  return message;
}

// A directory and its server, which goes first.
struct Running {
  std::unique_ptr<MemberDirectory> directory;
  std::unique_ptr<Server> server;
};

// On the ports asked for, or on free ones when one of those is taken. Each attempt opens the directory anew: it has one
// server in its life.
Outcome<Running> StartAnywhere(ServerOptions options, Logger& logger) {
  for (bool is_second = false;; is_second = true) {
    MUSTER_ASSIGN(auto directory, MemberDirectory::Open(options, logger));
    auto server = Server::Start(options, *directory, logger);
    if (server) return Running{.directory = std::move(directory), .server = std::move(*server)};
    const Reason reason = server.error().reason;
    if (reason != Reason::kStateConflict || is_second) {
      return Fails(reason == Reason::kInvalidArgument ? ExitCode::kUsage : ExitCode::kFailure,
                   WithFlags(server.error().message));
    }
    PrintNote(options.http.listen + ", " + options.grpc.listen + " or " + options.admin.listen +
              " is in use by another process; taking free ports.");
    options.http.listen = options.grpc.listen = options.admin.listen = "127.0.0.1:0";
  }
}

Outcome<std::string> MakeDemoKey(CallerDirectory& callers) {
  const auto key = callers.Create(
      {.name = "demo",
       .purpose = "tries things out",
       .scopes = {std::string(ScopeName(Scope::kMembersRead)), std::string(ScopeName(Scope::kMembersWrite)),
                  std::string(ScopeName(Scope::kPersonalRead))}});
  if (!key) return Fails(key.error());
  return key->text;
}

std::string ThisProgram() {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "muster" : path.string();
}

// Shows what the load does until a signal comes or the time is over.
void Watch(TerminationSignals& signals, DemoLoad* load, std::optional<Instant> end, const Clock& clock) {
  const bool is_terminal = DescribeTerminal(STDERR_FILENO).is_terminal;
  const auto period = is_terminal ? kTerminalPeriod : kPlainPeriod;
  while (true) {
    Duration patience = period;
    if (end) patience = std::min<Duration>(patience, std::max(*end - clock.Monotonic(), Duration{0}));
    const bool asked_to_end = signals.WaitFor(std::chrono::ceil<std::chrono::milliseconds>(patience));
    const bool is_over = end && clock.Monotonic() >= *end;
    if (load != nullptr) {
      const std::string line = DemoLoad::Describe(load->TakeWindow());
      std::fputs((is_terminal ? "\r" + line + "\033[K" : line + "\n").c_str(), stderr);
      if (is_terminal && (asked_to_end || is_over)) std::fputs("\n", stderr);
    }
    if (asked_to_end || is_over) return;
  }
}

Outcome<ExitCode> Demo(const DemoFlags& flags) {
  std::optional<std::int64_t> duration_ms;
  if (!flags.duration.empty()) {
    const auto parsed = ParseMilliseconds(flags.duration);
    if (!parsed) return Fails(ExitCode::kUsage, "--duration is a time, as in 30s or 5m");
    duration_ms = *parsed;
  }
  PrepareServerProcess();
  TerminationSignals signals;
  MUSTER_ASSIGN(const TemporaryDirectory place, TemporaryDirectory::Make("muster-demo"));
  const ServerOptions options = OptionsOf(flags, place.path());
  auto logger = MakeLogger(options.log());
  if (!logger) return Fails(logger.error());
  MUSTER_ASSIGN(const Running running, StartAnywhere(options, **logger));
  const auto& [directory, server] = running;

  const Clock& clock = directory->clock();
  const SyntheticMembers synthetic(kSeed);
  Progress progress("making members", "members", clock);
  bool asked_to_end = false;
  MUSTER_ASSIGN(std::vector<MemberId> members,
                RegisterSyntheticMembers(*directory, synthetic, flags.members, [&](std::uint64_t done) {
                  progress.Report(done, flags.members);
                  asked_to_end = signals.WaitFor(std::chrono::milliseconds(0));
                  return !asked_to_end;
                }));
  progress.Finish();
  if (asked_to_end) return ExitCode::kOk;

  MUSTER_ASSIGN(const std::string key, MakeDemoKey(directory->callers()));
  const std::string url = "http://" + server->http_address();
  PrintData(RenderBanner(DescribeTerminal(STDOUT_FILENO), {.http_url = url,
                                                           .grpc_address = server->grpc_address(),
                                                           .admin_url = "http://" + server->admin_address(),
                                                           .key = key,
                                                           .admin_key_file = place.path() + "/admin.key",
                                                           .program = ThisProgram(),
                                                           .members = members.size(),
                                                           .member_id = std::to_string(members.front().value()),
                                                           .phone = synthetic.PhoneOf(0)}));
  std::fflush(stdout);

  std::optional<DemoLoad> load;
  if (!flags.no_load) {
    load.emplace(DemoLoad::Options{.seed = kSeed}, HttpClientOptions{.base_url = url, .key = key}, synthetic,
                 std::move(members), clock);
    load->Start();
  }
  std::optional<Instant> end;
  if (duration_ms) end = clock.Monotonic() + std::chrono::milliseconds(*duration_ms);
  Watch(signals, load ? &*load : nullptr, end, clock);
  load.reset();
  server->Stop();
  return ExitCode::kOk;
}

}  // namespace

void AddDemoCommand(CLI::App& root, CommandContext& context) {
  CLI::App* command =
      root.add_subcommand("demo", "Run a throw-away server with synthetic members, a gentle load and lines to try");
  command->group(kServerGroup);
  auto flags = std::make_shared<DemoFlags>();
  command->add_option("--members", flags->members, "How many members [100000]")
      ->check(CLI::Range(1, 10'000'000))
      ->type_name("N");
  command->add_option("--duration", flags->duration, "End after this time [at SIGINT or SIGTERM]")->type_name("TIME");
  command->add_flag("--no-load", flags->no_load, "No load, only the server");
  command->add_option("--http", flags->http_listen, "Where callers are served [127.0.0.1:7400, or a free port]")
      ->type_name("HOST:PORT");
  command->add_option("--grpc", flags->grpc_listen, "The same over gRPC [127.0.0.1:7401, or a free port]")
      ->type_name("HOST:PORT");
  command
      ->add_option("--admin", flags->admin_listen, "Where administrators are served [127.0.0.1:7402, or a free port]")
      ->type_name("HOST:PORT");
  command->footer("The members are made up; some of their phone numbers may belong to somebody. Not for production.");
  command->callback([&context, flags] { context.action = [flags] { return Demo(*flags); }; });
}

}  // namespace muster
