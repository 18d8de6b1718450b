#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/load_channel.h"
#include "bench/socket_channel.h"
#include "bench/transport.h"

namespace muster {

// Connections of any protocol (LoadChannel) in an epoll set: as little as can stand between two system calls, since a
// generator that costs more than the server measures itself. Requests go over whichever connection has been free
// longest.
class SocketTransport final : public LoadTransport {
 public:
  struct Options {
    HttpTarget target;
    std::string key;                               // of the caller; empty: none is sent
    std::uint32_t connections = 64;                // > 0
    std::uint32_t depth = 1;                       // requests under way on each, > 0
    BenchTime timeout = std::chrono::seconds(10);  // of one request, and of opening a connection
  };
  // kInternal when the system gives no epoll set.
  using ChannelFactory = std::function<std::unique_ptr<LoadChannel>()>;
  static Result<std::unique_ptr<LoadTransport>> Make(Options options, const ChannelFactory& channels);
  ~SocketTransport() override;

  BenchTime Now() const override;
  void Open(BenchTime until) override;
  State state() const override;
  void Send(const LoadCall& call, std::uint32_t token) override;
  void Poll(BenchTime until, LoadAnswerSink& sink) override;
  std::uint32_t capacity() const override { return options_.connections * options_.depth; }

 private:
  // What the transport knows of a connection beside its bytes.
  struct Slot {
    SocketChannel channel;
    bool is_usable = false;      // counted in usable_
    bool is_queued = false;      // in ready_
    bool is_dirty = false;       // in dirty_
    bool is_broken = false;      // in broken_, and of no use
    std::uint32_t failures = 0;  // in a row
    BenchTime retry_at{};
  };

  SocketTransport(Options options, int epoll, const ChannelFactory& channels);
  void Connect(Slot& slot, BenchTime now);
  // After whatever may have changed whether a slot has room.
  void Settle(std::uint32_t index);
  void MarkDirty(std::uint32_t index);
  void MarkBroken(std::uint32_t index);
  void Break(std::uint32_t index, BenchTime now);
  void GiveUp(std::uint32_t index, BenchTime now, LoadAnswerSink& sink);
  void Wait(BenchTime until);
  void OnEvent(std::uint32_t index, std::uint32_t events, LoadAnswerSink& sink);
  bool TakeAnswers(std::uint32_t index, LoadAnswerSink& sink);
  void Sweep(BenchTime now, LoadAnswerSink& sink);
  void FlushDirty();

  const Options options_;
  const int epoll_;
  std::vector<Slot> slots_;
  std::deque<std::uint32_t> ready_;  // those with room, and some that have none any more
  std::uint32_t usable_ = 0;         // how many have room
  std::uint32_t closed_ = 0;         // how many are kClosed
  std::vector<std::uint32_t> dirty_;
  std::vector<std::uint32_t> broken_;
  std::string input_;
  BenchTime next_sweep_{};
  struct Events;
  std::unique_ptr<Events> events_;
};

}  // namespace muster
