#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "api/asio_event_loop.h"
#include "api/buffer_pool.h"
#include "api/grpc_gzip.h"
#include "api/grpc_server.h"
#include "api/h2_connection.h"
#include "api/http_acceptor.h"
#include "api/http_metrics.h"
#include "api/timer_wheel.h"
#include "base/clock.h"
#include "base/log.h"

namespace muster {

// One thread's part of a gRPC server: an event loop, a listening socket, its connections and what they share; what
// HttpLoop is for HTTP. Touched by its thread alone, but for construction before and destruction after.
class H2Loop {
 public:
  // `options.threads` is known by now. `options`, `metrics`, `clock` and `logger` have to outlive it; owns
  // `listening_socket`.
  H2Loop(std::unique_ptr<AsioEventLoop> events, int listening_socket, const GrpcServerOptions& options,
         HttpMetrics& metrics, const Clock& clock, Logger& logger);
  ~H2Loop();

  // Before Run. The handler is destroyed with the loop, after its connections.
  void SetHandler(std::unique_ptr<GrpcHandler> handler) { handler_ = std::move(handler); }
  Result<void> Start() { return acceptor_.Start(); }
  void Run() { events_->Run(); }
  // From any thread. `drained` is called on the loop's thread when no connection is left.
  void Drain(std::function<void()> drained);
  void Stop() { events_->Stop(); }

  AsioEventLoop& events() { return *events_; }

  // For its connections and their streams.
  static constexpr std::size_t kInputBytes = 64 << 10;
  const GrpcServerOptions& options() const { return options_; }
  // Bytes that the connections hold: what they account for, and whether that is more than they may.
  void Account(std::int64_t change) { buffered_bytes_ += change; }
  bool crowded() const { return buffered_bytes_ > buffer_bytes_max_; }
  // Whether an answer of `bytes` may be kept, `more` of which are not accounted for yet. Large answers fill half of
  // what may be held, so that small requests are served when nobody reads those. Errors as GrpcExchange::Hold.
  Result<void> FindRoom(std::size_t bytes, std::size_t more);
  GrpcHandler& handler() { return *handler_; }
  HttpMetrics& metrics() { return metrics_; }
  BufferPool& buffers() { return buffers_; }
  TimerWheel& wheel() { return wheel_; }
  GrpcGzip& gzip() { return gzip_; }
  std::span<char> input_buffer() { return *input_; }
  // When the clock was last read.
  Instant now() const { return now_; }
  Instant ReadClock() { return now_ = clock_.Monotonic(); }
  void Schedule(TimerWheel::Timer& timer, std::int64_t after_ms) {
    wheel_.Schedule(timer, now_ + std::chrono::milliseconds(after_ms));
  }
  // Streams that are used again.
  H2Stream& TakeStream();
  void GiveStream(H2Stream& stream);
  // Its EndTurn will be called, in this turn or, when it has to let others go first, in the next.
  void Mark(H2Connection& connection);
  void Yield(H2Connection& connection);
  void OnClosed(H2Connection& connection);

 private:
  void OnAccepted(int socket);
  void EndTurn();
  void ResumeYielded();
  void Tick();
  void MakeRoom();
  void BeginDrain();
  void CloseAll();

  const GrpcServerOptions& options_;
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
  GrpcGzip gzip_;
  std::unique_ptr<std::array<char, kInputBytes>> input_;
  std::vector<H2Stream*> idle_streams_;
  std::unique_ptr<AsioEventLoop> events_;
  std::unique_ptr<GrpcHandler> handler_;
  HttpAcceptor acceptor_;
  H2Connection* connections_ = nullptr;
  std::vector<H2Connection*> marked_;
  std::vector<H2Connection*> yielded_;
  std::vector<H2Connection*> closed_;  // until the turn's end: its events may name them
  bool draining_ = false;
  Instant drain_until_;
  std::function<void()> drained_;
};

}  // namespace muster
