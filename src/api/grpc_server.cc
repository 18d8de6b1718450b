#include "api/grpc_server.h"

#include <unistd.h>

#include <utility>

#include "api/h2_loop.h"
#include "api/http_listen.h"
#include "api/http_metrics.h"
#include "api/loop_threads.h"

namespace muster {
namespace {

class AsioGrpcServer final : public GrpcServer {
 public:
  AsioGrpcServer(const GrpcServerOptions& options, MetricRegistry& registry)
      : options_(options), metrics_(registry, "grpc") {}

  ~AsioGrpcServer() override { loops_.Drain(); }

  // A loop owns its socket from here on, also when one of the steps fails.
  Result<void> Add(int listening_socket, const HandlerFactory& handlers, const Clock& clock, Logger& logger) {
    Result<std::unique_ptr<AsioEventLoop>> events = AsioEventLoop::Make();
    if (!events) {
      close(listening_socket);
      return Fail(std::move(events).error());
    }
    H2Loop& loop =
        loops_.Add(std::make_unique<H2Loop>(*std::move(events), listening_socket, options_, metrics_, clock, logger));
    MUSTER_ASSIGN(std::unique_ptr<GrpcHandler> handler, handlers(loop.events()));
    loop.SetHandler(std::move(handler));
    return loop.Start();
  }

  Result<void> Run(std::string address) {
    address_ = std::move(address);
    return loops_.Run();
  }

  std::string address() const override { return address_; }
  void Drain() override { loops_.Drain(); }

 private:
  const GrpcServerOptions options_;
  HttpMetrics metrics_;
  LoopThreads<H2Loop> loops_{"grpc"};
  std::string address_;
};

}  // namespace

Result<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcServerOptions& options, const HandlerFactory& handlers,
                                                      const Clock& clock, Logger& logger, MetricRegistry& metrics) {
  GrpcServerOptions settled = options;
  if (settled.threads == 0) settled.threads = UsableCpus();
  MUSTER_ASSIGN(HttpListeners listeners,
                ListenHttp(settled.listen, static_cast<std::size_t>(settled.threads), "grpc.listen"));
  auto server = std::make_unique<AsioGrpcServer>(settled, metrics);
  for (std::size_t i = 0; i < listeners.sockets.size(); ++i) {
    if (Result<void> added = server->Add(listeners.sockets[i], handlers, clock, logger); !added) {
      for (std::size_t rest = i + 1; rest < listeners.sockets.size(); ++rest) close(listeners.sockets[rest]);
      return Fail(std::move(added).error());
    }
  }
  MUSTER_TRY(server->Run(std::move(listeners.address)));
  return server;
}

void GrpcServerOptions::Declare(OptionRegistry& options) {
  constexpr OptionBounds kMilliseconds{.min = 10, .max = 3'600'000};
  options.AddString("grpc.listen", &listen, "Address to listen on, host:port; port 0 picks a free one.");
  options.AddInteger("grpc.threads", &threads, "Threads that serve; 0: as many as CPUs that the process may use.",
                     {.min = 0, .max = 256});
  options.AddBytes("grpc.message.max", &message_bytes_max, "Largest message of a request, packed or not.",
                   {.min = 1 << 10, .max = 32 << 20});
  options.AddBytes("grpc.header.max", &header_bytes_max,
                   "Largest metadata of a request, as HTTP/2 counts it: 32 bytes more for each field.",
                   {.min = 1 << 10, .max = 1 << 20});
  options.AddInteger("grpc.connections.max", &connections_max, "Connections at a time; more are closed.",
                     {.min = 1, .max = 1'000'000});
  options.AddInteger("grpc.streams.max", &streams_max, "Calls of one connection under way; clients keep more back.",
                     {.min = 1, .max = 4096});
  options.AddBytes("grpc.output.max", &output_bytes_max,
                   "Unsent answers of one connection beyond which its further calls wait.",
                   {.min = 4 << 10, .max = 1 << 30});
  options.AddBytes(
      "grpc.buffers.max", &buffer_bytes_max,
      "Messages arriving and answers leaving, of all connections together, and 1.5 KiB and its head for each call "
      "under way. "
      "Threads share it alike, and each has at least twice the largest message. Answers above 16 KiB are refused "
      "beyond half of it, everything beyond all of it.",
      {.min = 1 << 20, .max = std::int64_t{1} << 40});
  options.AddDuration("grpc.header.timeout", &header_timeout_ms,
                      "From a connection to its greeting, and from a header block's first byte to its end.",
                      kMilliseconds);
  options.AddDuration("grpc.idle.timeout", &idle_timeout_ms, "How long a connection may stay without a call.",
                      kMilliseconds);
  options.AddDuration("grpc.write.timeout", &write_timeout_ms,
                      "How long a client may take none of its answers, ten times as long of a stream; and may take to "
                      "send the rest of a call, or a message that a stream waits for.",
                      kMilliseconds);
  options.AddDuration("grpc.drain.timeout", &drain_timeout_ms,
                      "How long calls under way may take when the server stops.", {.min = 0, .max = 3'600'000});
}

}  // namespace muster
