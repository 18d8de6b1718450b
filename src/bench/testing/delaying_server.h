#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace muster {

// An HTTP server of one thread on a loopback port, that answers when it was told to: what it does to requests is known.
class DelayingServer {
 public:
  using Time = std::chrono::nanoseconds;  // of the monotonic clock

  // The n-th request (from 0, over all connections) arrived at that time.
  struct Reply {
    Time at{};                // when to answer; what is before it on the same connection comes first
    std::string bytes = kOk;  // the whole answer; empty: close the connection instead
  };
  using Decide = std::function<Reply(std::uint64_t n, Time arrived)>;
  static constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

  explicit DelayingServer(Decide decide);
  ~DelayingServer();

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::uint64_t requests() const { return requests_.load(); }
  std::uint64_t connections() const { return connections_.load(); }

  static Time Now();

 private:
  struct Loop;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> requests_ = 0;
  std::atomic<std::uint64_t> connections_ = 0;
  std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

}  // namespace muster
