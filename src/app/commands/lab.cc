#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "app/cli/messages.h"
#include "app/client/client_flags.h"
#include "app/commands/commands.h"
#include "app/files.h"
#include "app/lab/lab_process.h"
#include "app/lab/lab_view.h"
#include "base/option_text.h"
#include "base/random.h"
#include "lab/control.h"
#include "lab/lab_directory.h"
#include "lab/programs.h"

namespace muster {
namespace {

// Ending a database that restarts under another clock takes the longest.
constexpr std::chrono::seconds kActPatience{60};
constexpr std::chrono::seconds kUpPatience{60};
constexpr std::chrono::milliseconds kUpLook{50};
constexpr std::size_t kLogLinesMax = 100'000;
constexpr std::size_t kLogBytesShownMax = 1 << 20;

struct LabFlags {
  std::string directory = "muster-lab";
  int groups = 0;
  std::vector<std::string> with;
  bool engines_only = false;
  bool foreground = false;
  bool purge = false;
  std::string format = "table";
  std::size_t lines = 50;
  std::vector<std::string> words;  // of the verb

  // The components' processes work elsewhere.
  std::string absolute() const {
    std::error_code error;
    std::string path = std::filesystem::absolute(directory, error).lexically_normal().string();
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    return path;
  }
  lab::SupervisorOptions options() const {
    return {.directory = absolute(), .groups = groups, .engines_only = engines_only};
  }
};
using LabFlagsRef = std::shared_ptr<LabFlags>;

Outcome<std::string> AskOf(const LabFlags& flags, const std::string& verb, std::vector<std::string> words) {
  auto answer = lab::AskLab(flags.absolute(), {.verb = verb, .arguments = std::move(words)}, kActPatience);
  if (!answer) return FailsOfLab(answer.error());
  return std::move(*answer);
}

Outcome<void> CheckExtras(const LabFlags& flags) {
  if (flags.with.empty()) return {};
  std::string what = flags.with[0];
  for (std::size_t i = 1; i < flags.with.size(); ++i) what += " and " + flags.with[i];
  return Fails(ExitCode::kUsage, "--with " + what + ": a lab has none of that yet; leave it out");
}

Outcome<ExitCode> Up(const LabFlags& flags) {
  MUSTER_TRY(CheckExtras(flags));
  const lab::SupervisorOptions options = flags.options();
  if (const auto programs = lab::FindPrograms(); !programs) {
    return Fails(ExitCode::kFailure, programs.error().message);
  }
  if (lab::IsLocked(options.directory)) {
    return Fails(ExitCode::kRefused, "a lab is running in " + options.directory +
                                         ": see it with `muster lab status`, end it with `muster lab down`");
  }
  SystemRandom random;
  if (const auto layout = lab::EnsureLayout(options.directory, options.groups, random); !layout) {
    return FailsOfLab(layout.error());
  }
  TerminationSignals signals;
  MUSTER_ASSIGN(LabProcess process, LabProcess::Begin(options));
  MUSTER_TRY(process.AwaitReady(signals));
  MUSTER_ASSIGN(const std::string status, AskOf(flags, "status", {}));
  MUSTER_ASSIGN(const LabView view, ParseLabStatus(status));
  if (!flags.foreground) MUSTER_TRY(process.Detach());
  PrintData(RenderLabBanner(DescribeTerminal(STDOUT_FILENO), view, lab::ThisProgramPath()));
  std::fflush(stdout);
  if (!flags.foreground) return ExitCode::kOk;
  MUSTER_TRY(process.AwaitSignal(signals));
  PrintNote("ending the lab");
  MUSTER_TRY(process.End());
  return ExitCode::kOk;
}

Outcome<ExitCode> Down(const LabFlags& flags) {
  const std::string directory = flags.absolute();
  const auto asked = AskOf(flags, "down", {});
  const bool is_running = asked.has_value() || lab::IsLocked(directory);
  if (is_running) {
    if (!asked) return std::unexpected(asked.error());
    MUSTER_TRY(AwaitLabEnd(directory));
  } else if (!flags.purge) {
    return std::unexpected(asked.error());
  }
  if (!flags.purge) return ExitCode::kOk;
  if (const auto purged = lab::PurgeDirectory(directory); !purged) return FailsOfLab(purged.error());
  return ExitCode::kOk;
}

Outcome<ExitCode> Status(const LabFlags& flags) {
  MUSTER_ASSIGN(const std::string status, AskOf(flags, "status", {}));
  MUSTER_TRY(PrintAs(ParseFormat(flags.format), status,
                     [](std::string_view json) { return RenderLabStatus(DescribeTerminal(STDOUT_FILENO), json); }));
  return ExitCode::kOk;
}

Outcome<ExitCode> PrintEnvironment(const LabFlags& flags) {
  MUSTER_ASSIGN(const std::string status, AskOf(flags, "status", {}));
  MUSTER_ASSIGN(const LabView view, ParseLabStatus(status));
  MUSTER_ASSIGN(const std::string lines, RenderLabEnvironment(view, flags.words.at(0)));
  PrintData(lines);
  return ExitCode::kOk;
}

// Until what was started answers.
Outcome<ExitCode> AwaitUp(const LabFlags& flags, const std::string& target) {
  const SystemClock clock;
  const Deadline deadline = Deadline::After(clock, kUpPatience);
  const std::string center = target.starts_with("center:") ? target.substr(7) : "";
  for (;;) {
    MUSTER_ASSIGN(const std::string status, AskOf(flags, "status", {}));
    MUSTER_ASSIGN(const LabView view, ParseLabStatus(status));
    std::string missing;
    for (const LabView::Component& component : view.components) {
      const bool is_meant =
          component.name == target || (!center.empty() && strcasecmp(component.center.c_str(), center.c_str()) == 0);
      if (!is_meant || component.is_up) continue;
      const std::string log = view.directory + "/" + component.name + "/log";
      if (component.state == "ended")
        return Fails(ExitCode::kFailure, component.name + " has ended (" + component.notes + "); see " + log);
      missing += " " + component.name + " (" + log + ")";
    }
    if (missing.empty()) return ExitCode::kOk;
    if (deadline.Passed(clock)) {
      return Fails(ExitCode::kUnavailable, "started, and not answering within a minute; see the logs:" + missing);
    }
    usleep(static_cast<useconds_t>(std::chrono::microseconds(kUpLook).count()));
  }
}

Outcome<ExitCode> Act(const LabFlags& flags, const std::string& verb) {
  MUSTER_TRY(AskOf(flags, verb, flags.words));
  if (verb == "start" || verb == "clock") return AwaitUp(flags, flags.words.at(0));
  return ExitCode::kOk;
}

Outcome<ExitCode> Logs(const LabFlags& flags) {
  const std::string directory = flags.absolute();
  const auto layout = lab::ReadLayout(directory);
  if (!layout) return FailsOfLab(layout.error());
  if (!*layout) return Fails(ExitCode::kNotFound, directory + " holds no lab; name its directory with --dir");
  std::string path = directory + "/supervisor.log";
  if (flags.words.at(0) != "supervisor") {
    const auto chosen = (*layout)->Resolve(flags.words.at(0));
    if (!chosen) return FailsOfLab(chosen.error());
    if (chosen->size() != 1) return Fails(ExitCode::kUsage, "logs takes one component by its name");
    path = (*layout)->LogOf(*chosen->front());
  }
  const auto text = lab::ReadLabTail(path, kLogBytesShownMax);
  if (!text) return FailsOfLab(text.error());
  std::size_t begin = text->size();
  for (std::size_t lines = 0; begin > 0 && lines <= flags.lines; ++lines) {
    const std::size_t end = begin < 2 ? std::string::npos : text->rfind('\n', begin - 2);
    if (lines == flags.lines) break;
    begin = end == std::string::npos ? 0 : end + 1;
  }
  PrintData(text->substr(begin));
  return ExitCode::kOk;
}

CLI::App* AddVerb(CLI::App& lab, const std::string& name, const std::string& description, const LabFlagsRef& flags) {
  CLI::App* command = lab.add_subcommand(name, description);
  command->add_option("--dir", flags->directory, "The lab's directory [muster-lab]")->type_name("DIR");
  return command;
}

void AddWord(CLI::App& command, const LabFlagsRef& flags, const std::string& name, const std::string& description,
             bool is_required = true) {
  const std::size_t index = flags->words.size();
  flags->words.emplace_back();
  command
      .add_option_function<std::string>(
          name, [flags, index](const std::string& word) { flags->words[index] = word; }, description)
      ->required(is_required);
}

void AddUp(CLI::App& lab, CommandContext& context) {
  auto flags = std::make_shared<LabFlags>();
  CLI::App* command = AddVerb(lab, "up", "Start a lab, and return when all of it is up", flags);
  command->add_option("--groups", flags->groups, "Groups of databases [1, or as the directory was made]")
      ->check(CLI::Range(1, lab::kLabGroupsMax))
      ->type_name("N");
  command->add_option("--with", flags->with, "Further engines: search, kafka (not there yet)")
      ->check(CLI::IsMember({"search", "kafka"}))
      ->delimiter(',')
      ->type_name("ENGINE,...");
  command->add_flag("--engines-only", flags->engines_only, "Without muster servers: the engines and the network alone");
  command->add_flag("--foreground", flags->foreground, "Stay, and end the lab at SIGINT or SIGTERM");
  command->footer(
      "Everything runs on loopback, in the background, and ends with `muster lab down`; with --foreground also when "
      "this\n"
      "command does. The data stay in DIR for the next start. The engines are Debian's: etcd-server, mariadb-server,\n"
      "redis-server (`make engines`); their services need not run. Not for production.");
  command->callback([&context, flags] { context.action = [flags] { return Up(*flags); }; });

  auto hidden_flags = std::make_shared<LabFlags>();
  CLI::App* hidden = AddVerb(lab, "supervise", "What `up` starts", hidden_flags);
  hidden->add_option("--groups", hidden_flags->groups, "As of `up`");
  hidden->add_flag("--engines-only", hidden_flags->engines_only, "As of `up`");
  hidden->group("");
  hidden->callback([&context, hidden_flags] {
    context.action = [hidden_flags] { return RunLabSupervisor(hidden_flags->options()); };
  });
}

void AddAct(CLI::App& lab, CommandContext& context, const std::string& verb, const std::string& description,
            const std::vector<std::pair<std::string, std::string>>& words, const std::string& footer = "") {
  auto flags = std::make_shared<LabFlags>();
  CLI::App* command = AddVerb(lab, verb, description, flags);
  for (const auto& [name, meaning] : words) AddWord(*command, flags, name, meaning);
  if (!footer.empty()) command->footer(footer);
  command->callback([&context, flags, verb] { context.action = [flags, verb] { return Act(*flags, verb); }; });
}

void AddActs(CLI::App& lab, CommandContext& context) {
  const std::pair<std::string, std::string> target = {"TARGET", "A component's name, or center:A for all of one place"};
  const std::pair<std::string, std::string> component = {"COMPONENT", "A component's name"};
  const std::pair<std::string, std::string> one = {"A", "A center: A, B, or the witness W"}, other = {"B", "Another"};
  AddAct(lab, context, "kill", "End components as a power cut does: kill -9", {target});
  AddAct(lab, context, "start", "Start components again, on their data, and wait until they answer", {target},
         "A database starts as the topology says: one that was the primary before another was promoted gives up what "
         "was\nnever acknowledged.");
  AddAct(lab, context, "freeze", "Have components stand still: SIGSTOP", {target});
  AddAct(lab, context, "thaw", "Have frozen components go on", {target});
  AddAct(lab, context, "partition", "Lose all packets between two centers, both ways", {one, other},
         "Connections stay open and silent, and new ones get no answer, until `heal`.");
  AddAct(lab, context, "loss", "Lose all packets that the first center sends to the second", {one, other});
  AddAct(lab, context, "delay", "Have packets between two centers take longer, each way",
         {one, other, {"TIME", "How long, as in 2ms; a round trip takes twice as much; 0ms ends it"}});
  AddAct(lab, context, "throttle", "Bound what goes between two centers, each way",
         {one, other, {"RATE", "Bytes a second, as in 64KiB; 0 ends it"}});
  AddAct(lab, context, "fill", "Have a component's disk be full, until `empty`", {component},
         "Files of a database do not grow any more. Those of etcd and muster cannot be written at all.");
  AddAct(lab, context, "empty", "Have a component's disk have room again", {component});

  auto heal_flags = std::make_shared<LabFlags>();
  CLI::App* heal = AddVerb(lab, "heal", "Have links be as at the start: no loss, no delay, no bound", heal_flags);
  heal->add_option("CENTERS", heal_flags->words, "Two centers; without them all links")->expected(0, 2);
  heal->callback([&context, heal_flags] { context.action = [heal_flags] { return Act(*heal_flags, "heal"); }; });

  auto clock_flags = std::make_shared<LabFlags>();
  CLI::App* clock = AddVerb(lab, "clock", "Start a component again with a wall clock that is off", clock_flags);
  AddWord(*clock, clock_flags, "COMPONENT", "A component's name; not of etcd");
  AddWord(*clock, clock_flags, "OFFSET", "By how much, as in +5s or -200ms; 0s ends it", false);
  clock->allow_extras();  // "-200ms" looks like a flag
  clock->footer("Needs libfaketime (`make engines`). Its monotonic clock stays right.");
  clock->callback([&context, clock_flags, clock] {
    const std::vector<std::string> rest = clock->remaining();
    std::string& offset = clock_flags->words[1];
    if (offset.empty() && rest.size() == 1) offset = rest[0];
    const bool is_right = !offset.empty() && (rest.empty() || offset == rest[0]);
    context.action = [clock_flags, is_right]() -> Outcome<ExitCode> {
      if (!is_right) return Fails(ExitCode::kUsage, "lab clock takes a component and an offset, as in +5s or -200ms");
      return Act(*clock_flags, "clock");
    };
  });
}

}  // namespace

void AddLabCommands(CLI::App& root, CommandContext& context) {
  CLI::App* lab = AddCommandGroup(root, "lab", "A whole two-center system on this machine, to break");
  AddUp(*lab, context);
  auto status_flags = std::make_shared<LabFlags>();
  CLI::App* status =
      AddVerb(*lab, "status", "Print the components, what they are just now, and the links", status_flags);
  AddFormatFlag(*status, status_flags->format);
  status->callback([&context, status_flags] { context.action = [status_flags] { return Status(*status_flags); }; });
  auto env_flags = std::make_shared<LabFlags>();
  CLI::App* env = AddVerb(*lab, "env", "Print lines for a shell, whose commands go to this server then", env_flags);
  AddWord(*env, env_flags, "SERVER", "A muster server of the lab, as in muster-a1");
  env->footer("Use it as in: eval \"$(muster lab env muster-b1)\"");
  env->callback([&context, env_flags] { context.action = [env_flags] { return PrintEnvironment(*env_flags); }; });
  AddActs(*lab, context);
  auto logs_flags = std::make_shared<LabFlags>();
  CLI::App* logs = AddVerb(*lab, "logs", "Print the end of a component's log", logs_flags);
  AddWord(*logs, logs_flags, "COMPONENT", "A component's name, or supervisor");
  logs->add_option("--lines", logs_flags->lines, "How many lines [50]")
      ->check(CLI::Range(std::size_t{1}, kLogLinesMax))
      ->type_name("N");
  logs->callback([&context, logs_flags] { context.action = [logs_flags] { return Logs(*logs_flags); }; });
  auto down_flags = std::make_shared<LabFlags>();
  CLI::App* down = AddVerb(*lab, "down", "End a lab; its data stay", down_flags);
  down->add_flag("--purge", down_flags->purge, "Remove its directory, too");
  down->callback([&context, down_flags] { context.action = [down_flags] { return Down(*down_flags); }; });
  lab->group(kOperateGroup);
}

}  // namespace muster
