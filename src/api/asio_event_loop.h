#pragma once

#include <cstddef>
#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "base/socket_loop.h"

namespace muster {

// An event loop on asio::io_context. It runs in turns: what was posted, sockets that are ready, what these deferred,
// the turn's end.
//
// Sockets are not Asio's: they lie, level-triggered, in an epoll set of the loop's own, and Asio waits for that set.
// That costs some system calls a batch of ready sockets; Asio's edge-triggered reactor needs one more for each read
// (README.md has the figures).
class AsioEventLoop final : public SocketLoop {
 public:
  // Errors: out of file descriptors.
  static Result<std::unique_ptr<AsioEventLoop>> Make();
  // Work that was posted and has not run is destroyed unrun. Not while Run is under way.
  ~AsioEventLoop() override;

  // Runs turns on the calling thread until Stop.
  void Run();
  // From any thread. The turn under way is finished.
  void Stop();

  void Post(Work work) override;
  void Defer(Work work) override;

  // Below: on the loop's thread, or before Run.

  // At the end of each turn; one.
  void SetTurnEnd(Work work);
  // About every `interval`, from Run on; one.
  void SetTick(Duration interval, Work work);

  [[nodiscard]] bool Watch(int descriptor, SocketWatcher& watcher, Interest interest) override;
  void ChangeInterest(int descriptor, SocketWatcher& watcher, Interest interest) override;
  void Forget(int descriptor) override;

 private:
  struct State;
  explicit AsioEventLoop(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace muster
