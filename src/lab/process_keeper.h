#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"

namespace muster::lab {

struct ProcessSpec {
  std::vector<std::string> command = {};      // the first is the program's path
  std::vector<std::string> environment = {};  // all of it, NAME=VALUE
  std::string directory = {};                 // where it works
  std::string log = {};                       // standard output and error are appended to it
  std::string input = {};                     // standard input; empty: nothing
  // Its files cannot grow, nor be written at all, as on a disk without room (RLIMIT_FSIZE).
  bool cannot_write = false;
};

// Processes by name, which end when the process of this object does, however it ends (PR_SET_PDEATHSIG): the kernel
// counts that by the thread that began them, so one thread of this object begins all. What they leave behind becomes a
// child of this process (PR_SET_CHILD_SUBREAPER) and is reaped. Thread-safe.
//
//   (none) ──Start──► running ──(its end, Kill)──► ended ──Start──► running
//                      │    ▲
//                      └────┘  Freeze, Thaw
class ProcessKeeper {
 public:
  static constexpr std::int64_t kLogBytesMax = 32 << 20;  // a longer log becomes LOG.1 at the next start

  explicit ProcessKeeper(Logger& logger);
  ~ProcessKeeper();  // kill -9 of what is left
  ProcessKeeper(const ProcessKeeper&) = delete;

  // STATE_CONFLICT: it runs. INTERNAL: the system refuses.
  Result<pid_t> Start(const std::string& name, const ProcessSpec& spec);
  // SIGKILL to all at once, and waits for their end. One that does not run is no error.
  Result<void> Kill(const std::vector<std::string>& names);
  // SIGTERM, without waiting.
  void Terminate(const std::string& name);
  // SIGSTOP to all at once, and waits until they stand still. Those that do not run are left out.
  Result<void> Freeze(const std::vector<std::string>& names);
  void Thaw(const std::string& name);
  // Of a running one, from now on.
  void SetCannotWrite(const std::string& name, bool cannot_write);
  // False: it was not over by then.
  bool WaitForEnd(const std::string& name, Duration patience);

  struct Look {
    pid_t pid = 0;  // 0: it does not run
    bool is_frozen = false;
    std::string end = {};    // how the last one ended: "exit code 1", "signal 9"; empty: none has
    bool succeeded = false;  // exit code 0
  };
  Look LookAt(const std::string& name) const;
  std::vector<std::pair<std::string, pid_t>> Running() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace muster::lab
