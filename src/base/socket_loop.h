#pragma once

#include "base/event_loop.h"

namespace muster {

// Told when its socket is ready, on the loop's thread.
class SocketWatcher {
 public:
  struct Ready {
    bool readable = false;
    bool writable = false;
    bool broken = false;  // reset, or closed in both directions
  };
  virtual void OnReady(Ready ready) = 0;

 protected:
  ~SocketWatcher() = default;
};

// A loop that also watches sockets, for clients of engines whose connections live on it. All on the loop's thread, or
// before it runs.
class SocketLoop : public EventLoop {
 public:
  struct Interest {
    bool read = false;
    bool write = false;
    friend bool operator==(const Interest&, const Interest&) = default;
  };
  // Watches until Forget. A watcher has to stay until the end of the turn in which that happens.
  // False: the system refuses (out of memory or watches).
  [[nodiscard]] virtual bool Watch(int descriptor, SocketWatcher& watcher, Interest interest) = 0;
  virtual void ChangeInterest(int descriptor, SocketWatcher& watcher, Interest interest) = 0;
  // Before the descriptor is closed: that alone ends nothing while a process that was forked has a copy of it. Also of
  // one that is not watched.
  virtual void Forget(int descriptor) = 0;
};

}  // namespace muster
