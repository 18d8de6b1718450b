#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>

#include "base/clock.h"
#include "base/socket_loop.h"

namespace muster::testing {

// A loop on epoll whose turns a test makes: what was posted, sockets that are ready, what these deferred. Work may be
// posted from any thread.
class PollLoop final : public SocketLoop {
 public:
  static constexpr Duration kPatience = std::chrono::seconds(20);

  PollLoop();
  ~PollLoop() override;

  void Post(Work work) override;
  void Defer(Work work) override { deferred_.push_back(std::move(work)); }
  [[nodiscard]] bool Watch(int descriptor, SocketWatcher& watcher, Interest interest) override;
  void ChangeInterest(int descriptor, SocketWatcher& watcher, Interest interest) override;
  void Forget(int descriptor) override;

  // Makes turns until `done`, asked between them; false: that took longer than the tests' patience.
  bool RunUntil(const std::function<bool()>& done);
  // One turn, which waits at most `wait` for something to do.
  void RunTurn(Duration wait);

 private:
  const int epoll_;
  const int wake_;  // an eventfd
  std::mutex mutex_;
  std::deque<Work> posted_;  // guarded by mutex_
  std::deque<Work> deferred_;
};

}  // namespace muster::testing
