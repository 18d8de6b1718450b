#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "api/grpc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/options.h"
#include "base/result.h"
#include "base/socket_loop.h"

namespace muster {

struct GrpcServerOptions {
  std::string listen = "127.0.0.1:7401";  // host:port; port 0 picks a free one
  std::int64_t threads = 0;               // 0: the CPUs this process may use
  std::int64_t message_bytes_max = 1 << 20;
  std::int64_t header_bytes_max = 16 << 10;  // as HTTP/2 counts a header list: 32 bytes more a field
  std::int64_t connections_max = 20'000;
  std::int64_t streams_max = 256;             // calls of a connection under way
  std::int64_t output_bytes_max = 256 << 10;  // unsent unary answers of a connection; further calls wait beyond
  // Messages arriving, answers leaving and calls under way, of all connections together; shared by the threads, each of
  // which has at least twice message_bytes_max.
  std::int64_t buffer_bytes_max = 256 << 20;
  std::int64_t header_timeout_ms = 10'000;  // to greet, and from a header block's first byte to its end
  std::int64_t idle_timeout_ms = 300'000;   // without a call
  std::int64_t write_timeout_ms =
      30'000;  // without any progress of a connection or of a stream; for the rest of a call
  std::int64_t drain_timeout_ms = 10'000;

  void Declare(OptionRegistry& options);  // "grpc.…"
};

// A gRPC server over HTTP/2 without TLS: one thread and one event loop each with its own listening socket
// (SO_REUSEPORT).
class GrpcServer {
 public:
  // Called once for each loop on the thread that calls Start, before any request. The handlers are destroyed with the
  // server.
  using HandlerFactory = std::function<Result<std::unique_ptr<GrpcHandler>>(SocketLoop& loop)>;

  // Binds and starts. Errors are those of HttpServer::Start, and name `grpc.listen`.
  static Result<std::unique_ptr<GrpcServer>> Start(const GrpcServerOptions& options, const HandlerFactory& handlers,
                                                   const Clock& clock, Logger& logger, MetricRegistry& metrics);
  // Drains first when nobody has. No exchange may be left after it, but in work that was posted to the loops.
  virtual ~GrpcServer() = default;

  virtual std::string address() const = 0;  // "127.0.0.1:7401", the real port

  // Stops accepting, tells clients to go elsewhere (GOAWAY, twice, so that none of their calls is lost), ends streams,
  // answers what is under way, waits up to drain_timeout, ends the threads. Loops still take posted work afterwards,
  // and destroy it unrun with the server. Again: does nothing.
  virtual void Drain() = 0;
};

}  // namespace muster
