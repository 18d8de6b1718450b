#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "api/asio_event_loop.h"
#include "api/buffer_pool.h"
#include "api/http_acceptor.h"
#include "api/http_connection.h"
#include "api/http_metrics.h"
#include "api/http_response.h"
#include "api/http_server.h"
#include "api/timer_wheel.h"
#include "base/clock.h"
#include "base/log.h"

namespace muster {

// One thread's part of a server: an event loop, a listening socket, its connections and what they share. Touched by its
// thread alone, but for construction before and destruction after.
class HttpLoop {
 public:
  // `options.threads` is known by now. `options`, `metrics`, `clock` and `logger` have to outlive it; owns
  // `listening_socket`.
  HttpLoop(std::unique_ptr<AsioEventLoop> events, int listening_socket, const HttpServerOptions& options,
           HttpMetrics& metrics, const Clock& clock, Logger& logger);
  ~HttpLoop();

  // Before Run. The handler is destroyed with the loop, after its connections.
  void SetHandler(std::unique_ptr<HttpHandler> handler) { handler_ = std::move(handler); }
  Result<void> Start() { return acceptor_.Start(); }
  void Run() { events_->Run(); }
  // From any thread. `drained` is called on the loop's thread when no connection is left.
  void Drain(std::function<void()> drained);
  void Stop() { events_->Stop(); }

  AsioEventLoop& events() { return *events_; }

  // For its connections.
  static constexpr std::size_t kInputBytes = 64 << 10;
  const HttpServerOptions& options() const { return options_; }
  const HttpLimits& limits() const { return limits_; }
  std::size_t pipeline_max() const { return static_cast<std::size_t>(options_.pipeline_max); }
  std::size_t output_bytes_max() const { return static_cast<std::size_t>(options_.output_bytes_max); }
  // Bytes that the connections hold: what they account for, and whether that is more than they may.
  void Account(std::int64_t change) { buffered_bytes_ += change; }
  bool crowded() const { return buffered_bytes_ > buffer_bytes_max_; }
  // Whether an answer of `bytes` may be kept, `more` of which are not accounted for yet. Large answers fill half of
  // what may be held, so that small requests are served when nobody reads those. Errors as HttpExchange::Hold.
  Result<void> FindRoom(std::size_t bytes, std::size_t more);
  HttpHandler& handler() { return *handler_; }
  HttpMetrics& metrics() { return metrics_; }
  BufferPool& buffers() { return buffers_; }
  TimerWheel& wheel() { return wheel_; }
  HttpHead& head() { return head_; }
  std::span<char> input_buffer() { return *input_; }
  bool draining() const { return draining_; }
  // When the clock was last read.
  Instant now() const { return now_; }
  Instant ReadClock() { return now_ = clock_.Monotonic(); }
  std::string_view date_line() { return date_line_.At(now_); }
  void Schedule(TimerWheel::Timer& timer, std::int64_t after_ms) {
    wheel_.Schedule(timer, now_ + std::chrono::milliseconds(after_ms));
  }
  // Its EndTurn will be called.
  void Mark(HttpConnection& connection);
  // Its Resume will be called in the next turn.
  void Yield(HttpConnection& connection);
  void OnClosed(HttpConnection& connection);

 private:
  void OnAccepted(int socket);
  void EndTurn();
  void ResumeYielded();
  void Tick();
  void MakeRoom();
  void BeginDrain();
  void CloseAll();

  const HttpServerOptions& options_;
  const HttpLimits limits_;
  const std::int64_t buffer_bytes_max_;  // this loop's share; a largest request and a largest answer always fit
  std::int64_t buffered_bytes_ = 0;
  std::int64_t wanted_bytes_ = 0;  // the most that FindRoom has refused since the last tick
  HttpMetrics& metrics_;
  const Clock& clock_;
  Logger& logger_;
  Instant now_;
  // In the order of need: connections refer to all that stands above them, posted work to the connections.
  TimerWheel wheel_;
  BufferPool buffers_;
  HttpDateLine date_line_;
  HttpHead head_;
  std::unique_ptr<std::array<char, kInputBytes>> input_;
  std::unique_ptr<AsioEventLoop> events_;
  std::unique_ptr<HttpHandler> handler_;
  HttpAcceptor acceptor_;
  HttpConnection* connections_ = nullptr;
  std::size_t refused_connections_ = 0;
  std::vector<HttpConnection*> marked_;
  std::vector<HttpConnection*> yielded_;
  std::vector<HttpConnection*> closed_;  // until the turn's end: its events may name them
  bool draining_ = false;
  Instant drain_until_;
  std::function<void()> drained_;
};

}  // namespace muster
