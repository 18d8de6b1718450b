#include "api/http_server.h"

#include <unistd.h>

#include <utility>

#include "api/http_listen.h"
#include "api/http_loop.h"
#include "api/http_metrics.h"
#include "api/loop_threads.h"

namespace muster {
namespace {

class AsioHttpServer final : public HttpServer {
 public:
  AsioHttpServer(const HttpServerOptions& options, MetricRegistry& registry, std::string_view name)
      : options_(options), metrics_(registry, name), loops_(std::string(name)) {}

  ~AsioHttpServer() override { loops_.Drain(); }

  // A loop owns its socket from here on, also when one of the steps fails.
  Result<void> Add(int listening_socket, const HandlerFactory& handlers, const Clock& clock, Logger& logger) {
    Result<std::unique_ptr<AsioEventLoop>> events = AsioEventLoop::Make();
    if (!events) {
      close(listening_socket);
      return Fail(std::move(events).error());
    }
    HttpLoop& loop =
        loops_.Add(std::make_unique<HttpLoop>(*std::move(events), listening_socket, options_, metrics_, clock, logger));
    MUSTER_ASSIGN(std::unique_ptr<HttpHandler> handler, handlers(loop.events()));
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
  const HttpServerOptions options_;
  HttpMetrics metrics_;
  LoopThreads<HttpLoop> loops_;
  std::string address_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options, const HandlerFactory& handlers,
                                                      const Clock& clock, Logger& logger, MetricRegistry& metrics,
                                                      std::string_view name) {
  HttpServerOptions settled = options;
  if (settled.threads == 0) settled.threads = UsableCpus();
  MUSTER_ASSIGN(HttpListeners listeners,
                ListenHttp(settled.listen, static_cast<std::size_t>(settled.threads), std::string(name) + ".listen"));
  auto server = std::make_unique<AsioHttpServer>(settled, metrics, name);
  for (std::size_t i = 0; i < listeners.sockets.size(); ++i) {
    if (Result<void> added = server->Add(listeners.sockets[i], handlers, clock, logger); !added) {
      for (std::size_t rest = i + 1; rest < listeners.sockets.size(); ++rest) close(listeners.sockets[rest]);
      return Fail(std::move(added).error());
    }
  }
  MUSTER_TRY(server->Run(std::move(listeners.address)));
  return server;
}

void HttpServerOptions::Declare(OptionRegistry& options, const std::string& prefix) {
  constexpr OptionBounds kMilliseconds{.min = 10, .max = 3'600'000};
  options.AddString(prefix + ".listen", &listen, "Address to listen on, host:port; port 0 picks a free one.");
  options.AddInteger(prefix + ".threads", &threads, "Threads that serve; 0: as many as CPUs that the process may use.",
                     {.min = 0, .max = 256});
  options.AddBytes(prefix + ".body.max", &body_bytes_max, "Largest request body.",
                   {.min = 1 << 10, .max = kBodyBytesLimit});
  options.AddBytes(prefix + ".header.max", &header_bytes_max, "Largest block of header lines of a request.",
                   {.min = 1 << 10, .max = 1 << 20});
  options.AddBytes(prefix + ".target.max", &target_bytes_max, "Longest request target.", {.min = 128, .max = 64 << 10});
  options.AddInteger(prefix + ".connections.max", &connections_max,
                     "Connections at a time; more are answered 503 and closed.", {.min = 1, .max = 1'000'000});
  options.AddInteger(prefix + ".pipeline.max", &pipeline_max,
                     "Requests of one connection under way; more wait in the socket.", {.min = 1, .max = 4096});
  options.AddBytes(prefix + ".output.max", &output_bytes_max,
                   "Unsent answers of one connection beyond which it is not read from.",
                   {.min = 4 << 10, .max = 1 << 30});
  options.AddBytes(
      prefix + ".buffers.max", &buffer_bytes_max,
      "Requests arriving and answers leaving, of all connections together. Threads share it alike, and each has at "
      "least "
      "twice the largest body. Answers above 16 KiB are refused (503) beyond half of it, everything beyond all of it.",
      {.min = 1 << 20, .max = std::int64_t{1} << 40});
  options.AddDuration(prefix + ".header.timeout", &header_timeout_ms,
                      "From a request's first byte to the end of its head.", kMilliseconds);
  options.AddDuration(prefix + ".body.timeout", &body_timeout_ms,
                      "From the end of a request's head to the end of its body.", kMilliseconds);
  options.AddDuration(prefix + ".idle.timeout", &idle_timeout_ms, "How long a connection may stay without a request.",
                      kMilliseconds);
  options.AddDuration(prefix + ".write.timeout", &write_timeout_ms,
                      "How long a client may take none of its answers; ten times as long of a stream.", kMilliseconds);
  options.AddDuration(prefix + ".drain.timeout", &drain_timeout_ms,
                      "How long requests under way may take when the server stops.", {.min = 0, .max = 3'600'000});
}

}  // namespace muster
