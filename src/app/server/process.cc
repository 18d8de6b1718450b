#include "app/server/process.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>

namespace muster {
namespace {

sigset_t TerminationSet() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

void PrepareServerProcess() {
  umask(077);
  std::signal(SIGPIPE, SIG_IGN);
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

void TerminationSignals::Wait() {
  const sigset_t set = TerminationSet();
  int number = 0;
  while (sigwait(&set, &number) != 0) {
  }
  Release();
}

void TerminationSignals::Release() {
  const sigset_t set = TerminationSet();
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGINT, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace muster
