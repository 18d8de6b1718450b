#include "app/server/process.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#ifdef MUSTER_MIMALLOC
#include <mimalloc.h>
#endif

namespace muster {
namespace {

sigset_t TerminationSet() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  return set;
}

// The kernel cannot read a page of a mapped file: its disk fails, or somebody truncated it. Nothing can go on from
// here; what was acknowledged is on the disk. The default action comes after, when the instruction is tried again.
extern "C" void OnUnreadablePage(int number) {
  static constexpr char kMessage[] =
      "muster: a page of a data file could not be read: its disk fails, or the file was truncated. Check the disk, run "
      "`muster doctor`, and restore all files from one backup if it finds damage. With store.sqlite.mmap_bytes = 0 "
      "such "
      "a page fails the requests that need it and not the server.\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
  std::signal(number, SIG_DFL);
}

}  // namespace

void PrepareServerProcess() {
  umask(077);
#ifdef MUSTER_MIMALLOC
  mi_option_enable(mi_option_large_os_pages);
#endif
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGBUS, OnUnreadablePage);
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);  // what cannot be raised stays: the server counts its connections anyway
  }
}

TerminationSignals::TerminationSignals() {
  const sigset_t set = TerminationSet();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

bool TerminationSignals::WaitFor(std::chrono::milliseconds patience) {
  const sigset_t set = TerminationSet();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(patience);
  const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = std::chrono::nanoseconds(patience - seconds).count()};
  if (sigtimedwait(&set, nullptr, &timeout) < 0) return false;  // EAGAIN, or EINTR by a stop and continue
  Release();
  return true;
}

void TerminationSignals::Wait(const std::function<void()>& on_hang_up) {
  const sigset_t set = TerminationSet();
  for (;;) {
    int number = 0;
    if (sigwait(&set, &number) != 0) continue;
    if (number != SIGHUP) break;
    on_hang_up();
  }
  Release();
}

// A terminal that goes away while the server drains changes nothing.
void TerminationSignals::Release() {
  sigset_t set = TerminationSet();
  sigdelset(&set, SIGHUP);
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGINT, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace muster
