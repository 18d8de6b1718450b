#pragma once

#include <chrono>

namespace muster {

// What a server asks of its process: private files (umask 077), as many descriptors as it may have, no death by
// SIGPIPE, nor by SIGXFSZ (a file-size limit is a full disk); a death by SIGBUS (a page of a mapped data file cannot be
// read) says on standard error what to do.
void PrepareServerProcess();

// SIGTERM and SIGINT as something to wait for. Make it before any other thread: threads inherit the blocked signals.
class TerminationSignals {
 public:
  TerminationSignals();

  // True: one of them came. False: `patience` passed first. After the first one their default action is back, so a
  // second one ends the process at once.
  bool WaitFor(std::chrono::milliseconds patience);
  void Wait();

 private:
  void Release();
};

}  // namespace muster
