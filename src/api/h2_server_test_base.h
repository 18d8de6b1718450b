#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/grpc_server.h"
#include "api/h2_test_client.h"
#include "base/log.h"
#include "base/metrics.h"

namespace muster {

// A gRPC server over real sockets whose handler is simple: /echo answers the message, /hold waits until the test
// releases it, /error fails with NOT_FOUND, /size answers as many bytes as the message says, /stream echoes every
// message, as /open does, which is for whoever comes, /keyed is /echo for who has a key, /flood writes until nobody
// takes more, /crowded answers whether the server holds as much as it may.
class H2ServerTest : public ::testing::Test {
 protected:
  static constexpr auto kPatience = std::chrono::seconds(20);

  ~H2ServerTest() override { Stop(); }

  void Start() {
    options_.listen = "127.0.0.1:0";
    options_.threads = 1;
    auto started = GrpcServer::Start(
        options_,
        [this](EventLoop& loop) -> Result<std::unique_ptr<GrpcHandler>> {
          loop_ = &loop;
          return std::make_unique<Handler>(*this);
        },
        clock_, NullLogger(), metrics_);
    ASSERT_TRUE(started.has_value()) << started.error().message;
    server_ = *std::move(started);
  }

  // Ends the server while its clock runs on.
  void Stop() {
    if (server_ == nullptr) return;
    ReleaseAll();
    {
      const std::jthread time([this](const std::stop_token& stop) {
        while (!stop.stop_requested()) AdvanceClock(std::chrono::seconds(1));
      });
      server_->Drain();
    }
    {
      const std::lock_guard lock(mutex_);
      held_.clear();  // no exchange outlives the server
    }
    server_.reset();
  }

  // Moves the clock, and gives the loop a moment to see it.
  void AdvanceClock(Duration by) {
    clock_.Advance(by);
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, std::chrono::milliseconds(5));
  }
  void Await(const std::function<bool()>& condition, const std::string& what) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << what;
      AdvanceClock(Duration(0));
    }
  }
  // Until a condition holds, with time passing.
  void AwaitInTime(const std::function<bool()>& condition, const std::string& what) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << what;
      AdvanceClock(std::chrono::milliseconds(100));
    }
  }
  double Metric(const std::string& line_start) {
    const std::string text = "\n" + metrics_.Expose();
    const std::size_t at = text.find("\n" + line_start);
    return at == std::string::npos ? -1 : std::stod(text.substr(text.find(' ', at + 1)));
  }
  double OpenConnections() { return Metric("muster_http_connections_open{"); }

  std::size_t held() {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }
  std::size_t handled() {
    const std::lock_guard lock(mutex_);
    return handled_;
  }
  std::size_t sources() {
    const std::lock_guard lock(mutex_);
    return sources_;
  }
  // Answers what /hold holds, in the order of its arrival.
  void ReleaseAll() {
    loop_->Post([this] {
      std::deque<GrpcExchange> exchanges;
      {
        const std::lock_guard lock(mutex_);
        exchanges.swap(held_);
      }
      for (GrpcExchange& exchange : exchanges) exchange.Send({.request_id = "r", .message = "released"});
    });
  }

  class EchoSource final : public GrpcSource {
   public:
    EchoSource(H2ServerTest& test, GrpcStream& stream, bool floods) : test_(test), stream_(stream), floods_(floods) {
      const std::lock_guard lock(test_.mutex_);
      ++test_.sources_;
    }
    ~EchoSource() override {
      const std::lock_guard lock(test_.mutex_);
      --test_.sources_;
    }
    void OnMessage(std::string_view message) override {
      waiting_ = message;
      OnRoom();
    }
    void OnClientEnd() override {
      client_ended_ = true;
      if (!floods_ && waiting_.empty()) stream_.End({.request_id = "s"});
    }
    void OnRoom() override {
      if (floods_) {
        while (stream_.Write(std::string(1000, 'f'))) {
          const std::lock_guard lock(test_.mutex_);
          ++test_.flooded_;
        }
        return;
      }
      if (!waiting_.empty() && stream_.Write(waiting_)) waiting_.clear();
      if (client_ended_ && waiting_.empty()) stream_.End({.request_id = "s"});
    }
    bool AwaitsMessage() const override { return !floods_ && waiting_.empty(); }
    void OnFault(const Error& error) override {
      stream_.End(
          {.request_id = "s", .status = DescribeReason(error.reason).grpc_code, .status_message = error.message});
    }
    void OnDrain() override { stream_.End({.request_id = "s", .status = 14, .status_message = "bye"}); }

   private:
    H2ServerTest& test_;
    GrpcStream& stream_;
    const bool floods_;
    bool client_ended_ = false;
    std::string waiting_;
  };

  class Handler final : public GrpcHandler {
   public:
    explicit Handler(H2ServerTest& test) : test_(test) {}
    GrpcMethodKind KindOf(std::string_view path) const override {
      if (path == "/open") return GrpcMethodKind::kKeylessStream;
      return path == "/stream" || path == "/flood" ? GrpcMethodKind::kStream : GrpcMethodKind::kUnary;
    }
    Result<Waiter> WhoWaits(const GrpcRequest& known) override {
      if (known.path == "/nobody" || (known.path.starts_with("/key") && known.metadata.authorization.empty())) {
        return Fail(Reason::kUnauthenticated, "who are you?");
      }
      return known.path == "/anybody" ? Waiter::kAnybody : Waiter::kCaller;
    }
    void Handle(const GrpcRequest& request, GrpcExchange exchange) override {
      const std::lock_guard lock(test_.mutex_);
      ++test_.handled_;
      if (request.path == "/hold") {
        test_.held_.push_back(std::move(exchange));
      } else if (request.path == "/error") {
        exchange.Send({.request_id = "r", .status = 5, .status_message = "not here", .status_details = "details"});
      } else if (request.path == "/size") {
        const std::string message(std::stoul(std::string(request.message)), 's');
        exchange.Send({.request_id = "r", .message = message});
      } else if (request.path == "/crowded") {
        exchange.Send({.request_id = "r", .message = request.crowded ? "yes" : "no"});
      } else if (request.path == "/drop") {
        const GrpcExchange dropped = std::move(exchange);
      } else {
        exchange.Send({.request_id = "r", .source = "near", .message = request.message});
      }
    }
    std::unique_ptr<GrpcSource> Open(const GrpcRequest& request, GrpcStream& stream) override {
      stream.Begin({.request_id = "s"});
      return std::make_unique<EchoSource>(test_, stream, request.path == "/flood");
    }
    void Reject(const Error& error, const GrpcRequest&, GrpcExchange exchange) override {
      exchange.Send(
          {.request_id = "r", .status = DescribeReason(error.reason).grpc_code, .status_message = error.message});
    }
    void Tick() override {}

   private:
    H2ServerTest& test_;
  };

  GrpcServerOptions options_;
  ManualClock clock_;
  MetricRegistry metrics_;
  EventLoop* loop_ = nullptr;
  std::mutex mutex_;
  std::deque<GrpcExchange> held_;
  std::size_t handled_ = 0;
  std::size_t sources_ = 0;
  std::size_t flooded_ = 0;
  std::unique_ptr<GrpcServer> server_;
};

}  // namespace muster
