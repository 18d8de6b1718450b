#pragma once

#include <functional>
#include <queue>
#include <vector>

#include "bench/transport.h"

namespace muster {

// A server and its connections on a clock of their own, which moves only while somebody polls or sends: what a load
// measures against it can be said in advance, exactly.
class SimulatedTransport final : public LoadTransport {
 public:
  struct Fate {
    BenchTime at{};  // when its answer is there
    LoadAnswer::Kind kind = LoadAnswer::Kind::kAnswered;
    bool is_success = true;
    std::string_view code = "";
  };
  struct Options {
    std::uint32_t connections = 1;
    // Of the n-th request (from 0), sent at that time.
    std::function<Fate(std::uint64_t n, BenchTime sent)> fate;
    BenchTime send_cost{0};  // how long the generator takes to send one
    std::function<bool(BenchTime now)> is_down = [](BenchTime) { return false; };
    // When the generator runs again that is not running at `now`.
    std::function<BenchTime(BenchTime now)> runs_again = [](BenchTime now) { return now; };
    std::function<bool(BenchTime now)> is_opening = [](BenchTime) { return false; };  // its connections
  };
  explicit SimulatedTransport(Options options) : options_(std::move(options)) {}

  BenchTime Now() const override { return now_; }
  void Open(BenchTime) override {}
  State state() const override {
    if (options_.is_down(now_)) return State::kDown;
    if (options_.is_opening(now_)) return State::kBusy;
    return under_way_.size() < options_.connections ? State::kReady : State::kBusy;
  }
  void Send(const LoadCall&, std::uint32_t token) override {
    const Fate fate = options_.fate(sent_++, now_);
    under_way_.push({.fate = fate, .token = token});
    now_ += options_.send_cost;
  }
  void Poll(BenchTime until, LoadAnswerSink& sink) override {
    now_ = options_.runs_again(now_);
    until = std::max(until, now_);
    if (under_way_.empty() || under_way_.top().fate.at > until) {
      now_ = std::max(now_, until);
      return;
    }
    now_ = std::max(now_, under_way_.top().fate.at);
    while (!under_way_.empty() && under_way_.top().fate.at <= now_) {
      const Request request = under_way_.top();
      under_way_.pop();
      sink.OnAnswer({.token = request.token,
                     .kind = request.fate.kind,
                     .is_success = request.fate.is_success,
                     .code = request.fate.code,
                     .at = now_});
    }
  }
  std::uint32_t capacity() const override { return options_.connections; }

  std::uint64_t sent() const { return sent_; }

 private:
  struct Request {
    Fate fate;
    std::uint32_t token;
    friend bool operator<(const Request& a, const Request& b) { return a.fate.at > b.fate.at; }
  };

  const Options options_;
  BenchTime now_{std::chrono::hours(1)};
  std::uint64_t sent_ = 0;
  std::priority_queue<Request> under_way_;
};

}  // namespace muster
