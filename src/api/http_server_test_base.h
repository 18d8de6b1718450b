#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "api/http_server.h"
#include "api/http_test_client.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

namespace muster {

// A server over real sockets whose handler echoes: the answer's body is "METHOD target body". Requests for /hold… wait
// until the test releases them, by their target.
class HttpServerTest : public ::testing::Test {
 protected:
  ~HttpServerTest() override { Stop(); }

  void Start() {
    options_.listen = "127.0.0.1:0";
    if (options_.threads == 0) options_.threads = 1;
    auto started = HttpServer::Start(
        options_,
        [this](EventLoop& loop) -> Result<std::unique_ptr<HttpHandler>> {
          return std::make_unique<EchoHandler>(*this, loop);
        },
        clock_, NullLogger(), metrics_, "http");
    ASSERT_TRUE(started.has_value()) << started.error().message;
    server_ = *std::move(started);
  }

  // Ends the server, with what the test has left under way.
  void Stop() {
    if (server_ == nullptr) return;
    while (held() > 0)
      Drop([this] {
        std::lock_guard lock(mutex_);
        return held_.begin()->first;
      }());
    {
      const std::jthread time([this](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
          clock_.Advance(std::chrono::seconds(1));
          Pause();
        }
      });
      server_->Drain();
    }
    held_.clear();
    server_.reset();
  }

  HttpTestClient Connect(int receive_buffer_bytes = 0) {
    return HttpTestClient(server_->address(), receive_buffer_bytes);
  }

  static std::string Get(const std::string& target, const std::string& fields = {}) {
    return "GET " + target + " HTTP/1.1\r\nHost: test\r\n" + fields + "\r\n";
  }
  static std::string Post(const std::string& target, const std::string& body, const std::string& fields = {}) {
    return "POST " + target + " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           fields + "\r\n" + body;
  }

  // Waits until the handler holds a request for `target`.
  void AwaitHeld(const std::string& target) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, kPatience, [&] { return held_.contains(target); })) << target;
  }
  std::size_t held() {
    std::lock_guard lock(mutex_);
    return held_.size();
  }
  // Answers it "released target".
  void Release(const std::string& target) {
    AwaitHeld(target);
    WithHeld(target, [target](HttpExchange exchange) {
      exchange.Send({.status = 200, .content_type = "text/plain", .body = "released " + target});
    });
  }
  // Destroys it without an answer.
  void Drop(const std::string& target) {
    AwaitHeld(target);
    WithHeld(target, [](HttpExchange exchange) { const HttpExchange dropped = std::move(exchange); });
  }
  // Until `condition` holds.
  void Await(const std::function<bool()>& condition, const std::string& what) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << what;
      Pause();
    }
  }
  // Moves time until the condition holds, a little each time.
  void AwaitInTime(const std::function<bool()>& condition, const std::string& what) {
    Await(
        [&] {
          clock_.Advance(std::chrono::milliseconds(10));
          return condition();
        },
        what);
  }
  double Metric(const std::string& line_start) {
    const std::string text = "\n" + metrics_.Expose();
    const std::size_t at = text.find("\n" + line_start);
    return at == std::string::npos ? -1 : std::stod(text.substr(text.find(' ', at + 1)));
  }
  double OpenConnections() { return Metric("muster_http_connections_open{"); }

  // Until the loops have read that much.
  void AwaitReceived(std::size_t bytes) {
    Await([&] { return Metric("muster_http_received_bytes_total") >= static_cast<double>(bytes); }, "nothing is read");
  }
  // Targets in the order in which they were handled.
  std::vector<std::string> handled() {
    std::lock_guard lock(mutex_);
    return handled_;
  }

  static constexpr std::chrono::seconds kPatience{30};

  HttpServerOptions options_;
  ManualClock clock_;
  MetricRegistry metrics_;
  std::unique_ptr<HttpServer> server_;

 private:
  struct Held {
    EventLoop* loop;
    HttpExchange exchange;
  };

  class EchoHandler final : public HttpHandler {
   public:
    EchoHandler(HttpServerTest& test, EventLoop& loop) : test_(test), loop_(loop) {}
    void Handle(const HttpRequest& request, HttpExchange exchange) override {
      EXPECT_EQ(&exchange.loop(), &loop_);
      test_.Note(std::string(request.target));
      if (request.path == "/hold-large") EXPECT_TRUE(exchange.Hold(std::stoul(std::string(request.query))));
      if (request.path.starts_with("/hold")) return test_.Hold(std::string(request.target), loop_, std::move(exchange));
      if (request.path == "/drop") return;
      if (request.path == "/big") {
        const std::string body(static_cast<std::size_t>(std::stoul(std::string(request.query))), 'b');
        if (const auto held = exchange.Hold(body.size()); !held) {
          return exchange.Send(
              {.status = DescribeReason(held.error().reason).http_status, .content_type = "text/plain"});
        }
        return exchange.Send({.status = 200, .content_type = "text/plain", .body = body});
      }
      if (request.crowded) return exchange.Send({.status = 503});
      std::string body(request.method_name);
      body.append(" ").append(request.target).append(" ").append(request.body);
      exchange.Send({.status = 200, .content_type = "text/plain", .body = body});
    }
    void Reject(const HttpRejection& rejection, const HttpRequest& known, HttpExchange exchange) override {
      std::string body = std::to_string(rejection.status) + ": ";
      body.append(rejection.detail).append(" ").append(known.Header("Request-Id"));
      exchange.Send({.status = rejection.status, .content_type = "application/problem+json", .body = body});
    }

   private:
    HttpServerTest& test_;
    EventLoop& loop_;
  };

  // Until something is held, or a moment has passed.
  void Pause() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(1));
  }

  void Hold(std::string target, EventLoop& loop, HttpExchange exchange) {
    std::lock_guard lock(mutex_);
    held_.emplace(std::move(target), Held{&loop, std::move(exchange)});
    changed_.notify_all();
  }

  void Note(std::string target) {
    std::lock_guard lock(mutex_);
    handled_.push_back(std::move(target));
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Held> held_;
  std::vector<std::string> handled_;

 protected:
  // Answers it on its loop, as `then` does.
  void WithHeld(const std::string& target, std::move_only_function<void(HttpExchange)> then) {
    std::lock_guard lock(mutex_);
    const auto found = held_.find(target);
    EventLoop* const loop = found->second.loop;
    loop->Post([exchange = std::move(found->second.exchange), then = std::move(then)]() mutable {
      then(std::move(exchange));
    });
    held_.erase(found);
  }
};

}  // namespace muster
