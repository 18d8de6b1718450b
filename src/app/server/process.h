#pragma once

#include <chrono>
#include <functional>

namespace muster {

// What a server asks of its process: private files (umask 077), as many descriptors as it may have, no death by
// SIGPIPE, nor by SIGXFSZ (a file-size limit is a full disk); a death by SIGBUS (a page of a mapped data file cannot be
// read) says on standard error what to do; memory in pages of 2 MiB where the kernel has them (a look at one member of
// many costs a cache line, and with pages of 4 KiB another one to find it).
void PrepareServerProcess();

// SIGTERM, SIGINT and SIGHUP as something to wait for. Make it before any other thread: threads inherit the blocked
// signals. After the first SIGTERM or SIGINT their default action is back, so a second one ends the process at once.
class TerminationSignals {
 public:
  TerminationSignals();

  // True: one of them came. False: `patience` passed first.
  bool WaitFor(std::chrono::milliseconds patience);
  // Until SIGTERM or SIGINT; each SIGHUP before that calls `on_hang_up`.
  void Wait(const std::function<void()>& on_hang_up);

 private:
  void Release();
};

}  // namespace muster
