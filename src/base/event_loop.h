#pragma once

#include <functional>

namespace muster {

// One thread's queue of work. Everything that belongs to a loop (a connection, a route tree, a reader of the store) is
// touched by that loop's thread alone and needs no lock. The simulation has a loop of its own in which time is
// simulated.
class EventLoop {
 public:
  using Work = std::move_only_function<void()>;

  virtual ~EventLoop() = default;

  // Runs `work` on the loop's thread, soon. From any thread. Work posted by one thread runs in the order it was posted.
  virtual void Post(Work work) = 0;

  // Runs `work` at the end of the current turn: after everything that was ready when the turn began. Only from the
  // loop's own thread. Reads of the store are gathered this way, so that all of a turn share one transaction.
  virtual void Defer(Work work) = 0;
};

}  // namespace muster
