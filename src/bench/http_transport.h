#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/http_channel.h"
#include "bench/http_request.h"
#include "bench/transport.h"

namespace muster {

// HTTP/1.1 over an epoll set: as little as can stand between two system calls, since a generator that costs more than
// the server measures itself. Requests go over whichever connection has been free longest.
class HttpTransport final : public LoadTransport {
 public:
  struct Options {
    HttpTarget target;
    std::string key;                               // of the caller; empty: none is sent
    std::uint32_t connections = 64;                // > 0
    std::uint32_t pipeline = 1;                    // requests under way on each, > 0
    BenchTime timeout = std::chrono::seconds(10);  // of one request, and of opening a connection
  };
  // kInternal when the system gives no epoll set.
  static Result<std::unique_ptr<HttpTransport>> Make(Options options);
  ~HttpTransport() override;

  BenchTime Now() const override;
  void Open(BenchTime until) override;
  State state() const override;
  void Send(const LoadCall& call, std::uint32_t token) override;
  void Poll(BenchTime until, LoadAnswerSink& sink) override;
  std::uint32_t capacity() const override { return options_.connections * options_.pipeline; }

 private:
  // What the transport knows of a connection beside its bytes.
  struct Slot {
    HttpChannel channel;
    bool is_queued = false;      // in ready_
    bool is_dirty = false;       // in dirty_
    bool is_broken = false;      // in broken_, and of no use
    std::uint32_t failures = 0;  // in a row
    BenchTime retry_at{};
  };

  HttpTransport(Options options, int epoll);
  void Connect(Slot& slot, BenchTime now);
  void NoteReady(std::uint32_t index);
  void Break(std::uint32_t index, BenchTime now);
  void GiveUp(std::uint32_t index, BenchTime now, LoadAnswerSink& sink);
  void Wait(BenchTime until);
  void OnEvent(std::uint32_t index, std::uint32_t events, LoadAnswerSink& sink);
  bool TakeAnswers(std::uint32_t index, LoadAnswerSink& sink);
  void Sweep(BenchTime now, LoadAnswerSink& sink);
  void FlushDirty();
  bool IsUsable(const Slot& slot) const { return slot.channel.has_room() && !slot.is_broken; }

  const Options options_;
  const HttpRequestWriter writer_;
  const int epoll_;
  std::vector<Slot> slots_;
  std::deque<std::uint32_t> ready_;  // those with room, and some that have none any more
  std::uint32_t usable_ = 0;         // how many have room
  std::uint32_t closed_ = 0;         // how many are kClosed
  std::vector<std::uint32_t> dirty_;
  std::vector<std::uint32_t> broken_;
  std::string input_;
  std::string code_;
  BenchTime next_sweep_{};
  struct Events;
  std::unique_ptr<Events> events_;
};

}  // namespace muster
