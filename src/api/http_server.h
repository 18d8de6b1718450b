#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "api/http.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/options.h"
#include "base/result.h"
#include "base/socket_loop.h"

namespace muster {

struct HttpServerOptions {
  // The most that body_bytes_max may be.
  static constexpr std::int64_t kBodyBytesLimit = 32 << 20;

  std::string listen = "127.0.0.1:7400";  // host:port; port 0 picks a free one
  std::int64_t threads = 0;               // 0: the CPUs this process may use
  std::int64_t body_bytes_max = 1 << 20;
  std::int64_t header_bytes_max = 16 << 10;
  std::int64_t target_bytes_max = 8 << 10;
  std::int64_t connections_max = 20'000;
  std::int64_t pipeline_max = 64;            // requests of a connection under way; more wait in the socket
  std::int64_t output_bytes_max = 64 << 10;  // unsent answers of a connection; reading pauses beyond
  // Requests arriving and answers leaving, of all connections together; shared by the threads, each of which has at
  // least twice body_bytes_max.
  std::int64_t buffer_bytes_max = 256 << 20;
  std::int64_t header_timeout_ms = 10'000;  // from a request's first byte to the end of its head
  std::int64_t body_timeout_ms = 30'000;
  std::int64_t idle_timeout_ms = 120'000;  // between requests
  std::int64_t write_timeout_ms = 30'000;  // without any progress
  std::int64_t drain_timeout_ms = 10'000;

  void Declare(OptionRegistry& options, const std::string& prefix);  // "http", "admin"
};

// An HTTP/1.1 server: one thread and one event loop each with its own listening socket (SO_REUSEPORT).
class HttpServer {
 public:
  // Called once for each loop on the thread that calls Start, before any request. The handlers are destroyed with the
  // server.
  using HandlerFactory = std::function<Result<std::unique_ptr<HttpHandler>>(SocketLoop& loop)>;

  // Binds and starts. `name` ("http", "admin") labels the metrics, and errors call the address by the option that it
  // came from, `<name>.listen`. Errors say what to do: the port is in use (STATE_CONFLICT), the address is not ours or
  // not an address (INVALID_ARGUMENT), not permitted (PERMISSION_DENIED), out of descriptors or threads (OVERLOADED).
  static Result<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options, const HandlerFactory& handlers,
                                                   const Clock& clock, Logger& logger, MetricRegistry& metrics,
                                                   std::string_view name);
  // Drains first when nobody has. No exchange may be left after it, but in work that was posted to the loops.
  virtual ~HttpServer() = default;

  virtual std::string address() const = 0;  // "127.0.0.1:7400", the real port

  // Stops accepting, answers what is under way with Connection: close, waits up to drain_timeout, ends the threads.
  // Loops still take posted work afterwards, and destroy it unrun with the server. Again: does nothing.
  virtual void Drain() = 0;
};

}  // namespace muster
