#pragma once

#include <sys/types.h>

#include <string>

#include "app/cli/exit_code.h"
#include "app/server/process.h"
#include "base/clock.h"
#include "lab/supervisor.h"

namespace muster {

// The supervisor of a lab as a process of its own, in a session of its own. Until it is detached it ends, with all that
// it started, when this process does.
class LabProcess {
 public:
  // `muster lab supervise`, with its log in the lab's directory.
  static Outcome<LabProcess> Begin(const lab::SupervisorOptions& options);
  LabProcess(LabProcess&& other) noexcept;
  LabProcess& operator=(LabProcess&&) = delete;
  ~LabProcess();  // of one that is not detached: End

  // Until all is up. What it is doing is told on standard error. kFailure: it could not, or a signal came.
  Outcome<void> AwaitReady(TerminationSignals& signals);
  // Until a signal comes; kFailure: the lab ended by itself.
  Outcome<void> AwaitSignal(TerminationSignals& signals);
  // It goes on without this process.
  Outcome<void> Detach();
  // Ends it and waits.
  Outcome<void> End();

 private:
  LabProcess(std::string directory, pid_t pid, int tie) : directory_(std::move(directory)), pid_(pid), tie_(tie) {}
  bool HasEnded();
  std::string LastWords() const;

  std::string directory_;
  pid_t pid_;  // 0: it has ended, or is detached
  int tie_;    // the writing end of a pipe that it reads: its end is ours
};

// What `muster lab supervise` is: until SIGTERM, a `down`, or the end of an `up` that has not detached it (standard
// input ends without a byte).
Outcome<ExitCode> RunLabSupervisor(const lab::SupervisorOptions& options);

// Waits until no supervisor holds the directory. kUnavailable: that takes too long.
Outcome<void> AwaitLabEnd(const std::string& directory);

// An error of the lab as a command ends with it.
std::unexpected<Failure> FailsOfLab(const Error& error);

}  // namespace muster
