#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace muster::testing {

// A TCP proxy before one endpoint that loses what it is told to. Each connection is a thread.
class FaultyProxy {
 public:
  enum class Fault {
    kNone,
    kLoseRequest,  // of an update: never arrives
    kLoseAnswer,   // to an update
    kCutOff,       // every connection ends
  };

  // `target` is "http://127.0.0.1:PORT".
  explicit FaultyProxy(const std::string& target);
  ~FaultyProxy();
  FaultyProxy(const FaultyProxy&) = delete;

  // Ends its threads, on which what OnLoss was given runs.
  void Stop();

  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // With kCutOff, once every connection has ended.
  void Set(Fault fault);
  // Runs when an update, or its answer, has been lost, and before its sender can know.
  void OnLoss(std::function<void()> then) { then_ = std::move(then); }

 private:
  void Accept();
  void Serve(int client);

  const std::uint16_t target_port_;
  int listener_;
  std::uint16_t port_ = 0;
  std::atomic<Fault> fault_{Fault::kNone};
  std::atomic<int> open_{0};
  std::atomic<bool> is_over_{false};
  std::function<void()> then_ = [] {};
  std::thread acceptor_;
  std::vector<std::thread> connections_;  // of acceptor_
};

}  // namespace muster::testing
