#include "bench/thread_usage.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <ctime>

namespace muster {

ThreadUsage ReadThreadUsage() {
  timespec running{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &running);
  ThreadUsage usage{.running = std::chrono::seconds(running.tv_sec) + std::chrono::nanoseconds(running.tv_nsec),
                    .waiting = std::chrono::nanoseconds(0)};
  // "RUNNING WAITING TIMESLICES", in nanoseconds (Documentation/scheduler/sched-stats.rst).
  const int file = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
  if (file < 0) return usage;
  std::array<char, 128> text{};
  const ssize_t size = read(file, text.data(), text.size());
  close(file);
  const char* const end = text.data() + (size > 0 ? size : 0);
  std::int64_t ignored = 0;
  std::int64_t waiting = 0;
  const char* const space = std::from_chars(text.data(), end, ignored).ptr;
  if (space < end && std::from_chars(space + 1, end, waiting).ec == std::errc())
    usage.waiting = std::chrono::nanoseconds(waiting);
  return usage;
}

void WantExactTimers() { prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); }

}  // namespace muster
