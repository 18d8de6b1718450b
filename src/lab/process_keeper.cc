#include "lab/process_keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>

#include "base/check.h"
#include "base/thread_name.h"
#include "lab/descriptor.h"

namespace muster::lab {
namespace {

constexpr std::chrono::seconds kEndPatience{10};
constexpr std::chrono::seconds kStopPatience{5};
constexpr std::chrono::milliseconds kStopLookAgain{1};
constexpr int kEndRoundsMax = 5'000;  // of a millisecond or more
constexpr mode_t kLogMode = 0600;
constexpr int kCannotBegin = 126, kCannotRun = 127;

std::string SystemError(int error) { return std::generic_category().message(error); }

// Everything that a child does between fork and exec, where only what is async-signal-safe may be called: prepared
// before.
struct Prepared {
  std::vector<char*> arguments;
  std::vector<char*> environment;
  int log = -1;
  int input = -1;
  const char* directory = nullptr;
  bool cannot_write = false;
  pid_t parent = 0;
};

std::vector<char*> PointersTo(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

void LimitFiles(pid_t process, bool cannot_write) {
  rlimit limit{};
  ::prlimit(process, RLIMIT_FSIZE, nullptr, &limit);
  limit.rlim_cur = cannot_write ? 0 : limit.rlim_max;
  ::prlimit(process, RLIMIT_FSIZE, &limit, nullptr);
}

[[noreturn]] void Become(const Prepared& prepared) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != prepared.parent) ::_exit(kCannotBegin);  // which died before that was said
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGPIPE, SIGTERM, SIGINT, SIGHUP}) ::signal(number, SIG_DFL);
  ::signal(SIGXFSZ, SIG_IGN);  // a file that cannot grow is an error of write, as a full disk is
  if (::dup2(prepared.input, STDIN_FILENO) < 0 || ::dup2(prepared.log, STDOUT_FILENO) < 0 ||
      ::dup2(prepared.log, STDERR_FILENO) < 0 || ::chdir(prepared.directory) != 0) {
    ::_exit(kCannotBegin);
  }
  if (prepared.cannot_write) LimitFiles(0, true);
  ::execve(prepared.arguments[0], prepared.arguments.data(), prepared.environment.data());
  ::_exit(kCannotRun);
}

std::string DescribeEnd(int status) {
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

void RotateLog(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0 || status.st_size <= ProcessKeeper::kLogBytesMax) return;
  std::rename(path.c_str(), (path + ".1").c_str());
}

// The letter of /proc/PID/stat behind the program's name; 0: there is none.
char StateOf(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t end = text.rfind(')');
  return end == std::string::npos || end + 2 >= text.size() ? '\0' : text[end + 2];
}

// Of all its threads.
std::vector<pid_t> ChildrenOf(pid_t process) {
  std::vector<pid_t> children;
  std::error_code error;
  const std::string tasks = "/proc/" + std::to_string(process) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks, error)) {
    std::ifstream file(task.path() / "children");
    for (pid_t child = 0; file >> child;) children.push_back(child);
  }
  return children;
}

}  // namespace

class ProcessKeeper::Implementation {
 public:
  explicit Implementation(Logger& logger)
      : logger_(logger), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), thread_([this] { Run(); }) {
    NameThread(thread_, "lab-processes");
  }

  ~Implementation() {
    Post([this] { is_over_ = true; });
    thread_.join();
  }

  Result<pid_t> Start(const std::string& name, const ProcessSpec& spec) {
    std::promise<Result<pid_t>> promise;
    auto outcome = promise.get_future();
    Post([&] { promise.set_value(Begin(name, spec)); });
    return outcome.get();
  }

  // With the process still there: its number is not another's.
  template <typename Act>
  void WithRunning(const std::string& name, const Act& act) {
    std::lock_guard lock(mutex_);
    const auto found = processes_.find(name);
    if (found != processes_.end() && found->second.pid != 0) act(found->second);
  }

  void Signal(const std::string& name, int number, bool freezes) {
    WithRunning(name, [&](Process& process) {
      ::kill(process.pid, number);
      process.is_frozen = freezes;
    });
  }

  bool WaitForEnd(const std::string& name, Duration patience) {
    std::unique_lock lock(mutex_);
    return ended_.wait_for(lock, patience, [&] { return processes_[name].pid == 0; });
  }

  Look LookAt(const std::string& name) const {
    std::lock_guard lock(mutex_);
    const auto found = processes_.find(name);
    if (found == processes_.end()) return {};
    const Process& process = found->second;
    return {.pid = process.pid,
            .is_frozen = process.is_frozen,
            .end = process.end,
            .succeeded = process.end == DescribeEnd(0)};
  }

  std::vector<std::pair<std::string, pid_t>> Running() const {
    std::lock_guard lock(mutex_);
    std::vector<std::pair<std::string, pid_t>> all;
    for (const auto& [name, process] : processes_) {
      if (process.pid != 0) all.emplace_back(name, process.pid);
    }
    return all;
  }

 private:
  struct Process {
    pid_t pid = 0;
    Descriptor handle = {};  // readable when it has ended
    bool is_frozen = false;
    std::string end = {};
  };

  void Post(std::function<void()> job) {
    {
      std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    const std::uint64_t one = 1;
    MUSTER_CHECK(::write(wake_.number(), &one, sizeof one) == sizeof one);
  }

  void Run() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    while (!is_over_) {
      std::vector<pollfd> watched = {{.fd = wake_.number(), .events = POLLIN, .revents = 0}};
      {
        std::lock_guard lock(mutex_);
        for (const auto& [name, process] : processes_) {
          if (process.pid != 0) watched.push_back({.fd = process.handle.number(), .events = POLLIN, .revents = 0});
        }
      }
      constexpr int kReapOrphansMs = 1000;  // nobody tells of their end
      ::poll(watched.data(), watched.size(), kReapOrphansMs);
      Reap();
      std::uint64_t ignored = 0;
      [[maybe_unused]] const ssize_t size = ::read(wake_.number(), &ignored, sizeof ignored);
      std::vector<std::function<void()>> jobs;
      {
        std::lock_guard lock(mutex_);
        jobs.swap(jobs_);
      }
      for (const auto& job : jobs) job();
    }
    EndAll();
  }

  // Those that were begun, and what has become a child of ours because whoever began it is gone.
  void EndAll() {
    for (int i = 0; i < kEndRoundsMax; ++i) {
      const std::vector<pid_t> children = ChildrenOf(::getpid());
      if (children.empty()) break;
      for (const pid_t child : children) ::kill(child, SIGKILL);
      std::this_thread::sleep_for(kStopLookAgain);
      Reap();
    }
  }

  void Reap() {
    int status = 0;
    for (;;) {
      const pid_t pid = ::waitpid(-1, &status, WNOHANG);
      if (pid <= 0) return;
      std::lock_guard lock(mutex_);
      for (auto& [name, process] : processes_) {
        if (process.pid != pid) continue;
        process.pid = 0;
        process.handle.Close();
        process.is_frozen = false;
        process.end = DescribeEnd(status);
        logger_.Info("a process has ended", {{"name", name}, {"pid", pid}, {"how", process.end}});
        ended_.notify_all();
      }
    }
  }

  Result<pid_t> Begin(const std::string& name, const ProcessSpec& spec) {
    Reap();
    if (LookAt(name).pid != 0) return Fail(Reason::kStateConflict, name + " runs already");
    RotateLog(spec.log);
    const Descriptor log(::open(spec.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, kLogMode));
    if (!log) return Fail(Reason::kInternal, "cannot write " + spec.log + ": " + SystemError(errno));
    const std::string input_path = spec.input.empty() ? "/dev/null" : spec.input;
    const Descriptor input(::open(input_path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!input) return Fail(Reason::kInternal, "cannot read " + input_path + ": " + SystemError(errno));
    const Prepared prepared{.arguments = PointersTo(spec.command),
                            .environment = PointersTo(spec.environment),
                            .log = log.number(),
                            .input = input.number(),
                            .directory = spec.directory.c_str(),
                            .cannot_write = spec.cannot_write,
                            .parent = ::getpid()};
    // Under the lock: whoever is asked which processes there are knows of it before it can do anything.
    std::lock_guard lock(mutex_);
    const pid_t pid = ::fork();
    if (pid == 0) Become(prepared);
    if (pid < 0) return Fail(Reason::kInternal, "cannot start " + name + ": " + SystemError(errno));
    Process& process = processes_[name];
    process.pid = pid;
    process.handle = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    process.is_frozen = false;
    logger_.Info("a process has been started", {{"name", name}, {"pid", pid}});
    return pid;
  }

  Logger& logger_;
  const Descriptor wake_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::map<std::string, Process> processes_;  // guarded by mutex_
  std::vector<std::function<void()>> jobs_;   // guarded by mutex_
  bool is_over_ = false;                      // of the thread
  std::thread thread_;
};

ProcessKeeper::ProcessKeeper(Logger& logger) : implementation_(std::make_unique<Implementation>(logger)) {}
ProcessKeeper::~ProcessKeeper() = default;

Result<pid_t> ProcessKeeper::Start(const std::string& name, const ProcessSpec& spec) {
  return implementation_->Start(name, spec);
}

Result<void> ProcessKeeper::Kill(const std::vector<std::string>& names) {
  for (const std::string& name : names) implementation_->Signal(name, SIGKILL, false);
  for (const std::string& name : names) {
    if (WaitForEnd(name, kEndPatience)) continue;
    return Fail(Reason::kInternal, name + " was killed and has not ended within 10 s; see what the system does");
  }
  return {};
}

void ProcessKeeper::Terminate(const std::string& name) { implementation_->Signal(name, SIGTERM, false); }

Result<void> ProcessKeeper::Freeze(const std::vector<std::string>& names) {
  for (const std::string& name : names) implementation_->Signal(name, SIGSTOP, true);
  const auto until = std::chrono::steady_clock::now() + kStopPatience;
  for (const std::string& name : names) {
    for (pid_t pid = LookAt(name).pid; pid != 0 && StateOf(pid) != 'T'; pid = LookAt(name).pid) {
      if (std::chrono::steady_clock::now() > until) return Fail(Reason::kInternal, name + " does not stand still");
      std::this_thread::sleep_for(kStopLookAgain);
    }
  }
  return {};
}

void ProcessKeeper::Thaw(const std::string& name) { implementation_->Signal(name, SIGCONT, false); }

void ProcessKeeper::SetCannotWrite(const std::string& name, bool cannot_write) {
  implementation_->WithRunning(name, [&](const auto& process) { LimitFiles(process.pid, cannot_write); });
}

bool ProcessKeeper::WaitForEnd(const std::string& name, Duration patience) {
  return implementation_->WaitForEnd(name, patience);
}

ProcessKeeper::Look ProcessKeeper::LookAt(const std::string& name) const { return implementation_->LookAt(name); }

std::vector<std::pair<std::string, pid_t>> ProcessKeeper::Running() const { return implementation_->Running(); }

}  // namespace muster::lab
