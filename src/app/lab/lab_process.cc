#include "app/lab/lab_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <utility>
#include <vector>

#include "app/cli/messages.h"
#include "app/files.h"
#include "app/lab/lab_view.h"
#include "base/log.h"
#include "base/random.h"
#include "lab/control.h"
#include "lab/lab_directory.h"
#include "lab/programs.h"

namespace muster {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLabLook{50};
constexpr std::chrono::seconds kAskPatience{5};
constexpr std::chrono::seconds kLabEndPatience{60};  // what takes too long is killed by the supervisor before
constexpr std::size_t kLogTailBytes = 4 << 10;
constexpr char kDetach = 'd';

std::string SupervisorLogOf(const std::string& directory) { return directory + "/supervisor.log"; }

Outcome<pid_t> Spawn(const std::vector<std::string>& command, int input, const std::string& log) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);  // the terminal's signals are not for it
  pid_t pid = 0;
  const int error = posix_spawn(&pid, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return Fails(ExitCode::kFailure, "cannot start " + command[0] + ": " + SystemMessage(error));
  return pid;
}

}  // namespace

std::unexpected<Failure> FailsOfLab(const Error& error) {
  const ExitCode code = error.reason == Reason::kInvalidArgument ? ExitCode::kUsage : ExitCodeOf(error.reason);
  return Fails(code, error.message);
}

Outcome<LabProcess> LabProcess::Begin(const lab::SupervisorOptions& options) {
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) return Fails(ExitCode::kFailure, "cannot make a pipe: " + SystemMessage(errno));
  std::vector<std::string> command = {lab::ThisProgramPath(), "lab", "supervise", "--dir", options.directory};
  if (options.groups > 0) command.insert(command.end(), {"--groups", std::to_string(options.groups)});
  if (options.engines_only) command.emplace_back("--engines-only");
  auto pid = Spawn(command, ends[0], SupervisorLogOf(options.directory));
  close(ends[0]);
  if (!pid) {
    close(ends[1]);
    return std::unexpected(pid.error());
  }
  return LabProcess(options.directory, *pid, ends[1]);
}

LabProcess::LabProcess(LabProcess&& other) noexcept
    : directory_(std::move(other.directory_)),
      pid_(std::exchange(other.pid_, 0)),
      tie_(std::exchange(other.tie_, -1)) {}

LabProcess::~LabProcess() {
  [[maybe_unused]] const auto ended = End();
  if (tie_ >= 0) close(tie_);
}

bool LabProcess::HasEnded() {
  if (pid_ != 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
  return pid_ == 0;
}

std::string LabProcess::LastWords() const {
  const std::string path = SupervisorLogOf(directory_);
  const auto log = lab::ReadLabTail(path, kLogTailBytes);
  if (!log) return "see " + path;
  std::string text = *log;
  if (const std::size_t at = text.rfind("muster: "); at != std::string::npos) text = text.substr(at + 8);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

Outcome<void> LabProcess::AwaitReady(TerminationSignals& signals) {
  std::string told;
  for (;;) {
    if (signals.WaitFor(kLabLook)) return Fails(ExitCode::kFailure, "interrupted: what was started is being ended");
    if (HasEnded()) return Fails(ExitCode::kFailure, LastWords());
    const auto answer = lab::AskLab(directory_, {.verb = "progress"}, kAskPatience);
    if (!answer) continue;  // it has not begun to listen
    MUSTER_ASSIGN(const LabProgress progress, ParseLabProgress(*answer));
    if (progress.state == "ready") return {};
    if (progress.state == "failed") return Fails(ExitCode::kFailure, progress.doing);
    if (progress.doing != std::exchange(told, progress.doing)) PrintNote(progress.doing);
  }
}

Outcome<void> LabProcess::AwaitSignal(TerminationSignals& signals) {
  while (!signals.WaitFor(kLabLook)) {
    if (HasEnded()) return Fails(ExitCode::kFailure, "the lab has ended; see " + SupervisorLogOf(directory_));
  }
  return {};
}

Outcome<void> LabProcess::Detach() {
  const bool is_told = write(tie_, &kDetach, 1) == 1;
  close(std::exchange(tie_, -1));
  pid_ = 0;
  if (!is_told) return Fails(ExitCode::kFailure, "the lab has ended; see " + SupervisorLogOf(directory_));
  return {};
}

Outcome<void> LabProcess::End() {
  if (HasEnded()) return {};
  kill(pid_, SIGTERM);
  const SystemClock clock;
  const Deadline deadline = Deadline::After(clock, kLabEndPatience);
  while (!HasEnded()) {
    if (deadline.Passed(clock)) {
      kill(pid_, SIGKILL);  // the kernel ends what it started
      waitpid(std::exchange(pid_, 0), nullptr, 0);
      return Fails(ExitCode::kFailure, "the lab did not end within a minute and was killed");
    }
    poll(nullptr, 0, static_cast<int>(kLabLook.count()));
  }
  return {};
}

Outcome<ExitCode> RunLabSupervisor(const lab::SupervisorOptions& options) {
  PrepareServerProcess();
  TerminationSignals signals;
  const SystemClock clock;
  SystemRandom random;
  auto logger = MakeLogger({});
  if (!logger) return Fails(logger.error());
  const auto supervisor =
      lab::Supervisor::Start(options, {.clock = &clock, .random = &random, .logger = logger->get()});
  if (!supervisor) return FailsOfLab(supervisor.error());
  bool is_tied = true;
  while (!(*supervisor)->WantsToEnd() && !signals.WaitFor(kLabLook)) {
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (!is_tied || poll(&input, 1, 0) <= 0) continue;
    char word = 0;
    if (read(STDIN_FILENO, &word, 1) != 1) break;  // whoever began it is gone
    is_tied = word != kDetach;
  }
  (*logger)->Info("the lab is ending");
  return ExitCode::kOk;
}

Outcome<void> AwaitLabEnd(const std::string& directory) {
  const SystemClock clock;
  const Deadline deadline = Deadline::After(clock, kLabEndPatience);
  while (lab::IsLocked(directory)) {
    if (deadline.Passed(clock)) {
      return Fails(ExitCode::kUnavailable, "the lab has not ended within a minute; see " + SupervisorLogOf(directory));
    }
    poll(nullptr, 0, static_cast<int>(kLabLook.count()));
  }
  return {};
}

}  // namespace muster
