#pragma once

#include <functional>
#include <string_view>

#include "api/asio_event_loop.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

namespace muster {

// Takes connections from one listening socket. When the process is out of file descriptors it gives up a reserve one to
// accept and close what waits, so that clients are told at once and the loop does not spin. One thread.
class HttpAcceptor final : public SocketWatcher {
 public:
  // `accepted` gets each connection's socket, non-blocking, and owns it. `refused` counts those that were closed at
  // once.
  HttpAcceptor(AsioEventLoop& loop, int listening_socket, std::function<void(int)> accepted, Counter& refused,
               const Clock& clock, Logger& logger);
  ~HttpAcceptor() { Close(); }

  Result<void> Start();
  // Accepts what has connected so far, and listens no more.
  void Stop();
  // Goes on after a pause that lack of memory had caused. From the loop's tick.
  void Resume();

  void OnReady(Ready ready) override;

 private:
  void Close();
  void AcceptSome(int most);
  // False: nothing can be accepted now.
  bool OnError(int error);
  void LogRarely(std::string_view cause, std::string_view advice);

  AsioEventLoop& loop_;
  int socket_;
  int reserve_;
  bool paused_ = false;
  const std::function<void(int)> accepted_;
  Counter& refused_;
  const Clock& clock_;
  Logger& logger_;
  Instant quiet_until_ = Instant::min();
};

}  // namespace muster
