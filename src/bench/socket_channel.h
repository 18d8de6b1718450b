#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "bench/http_target.h"
#include "bench/load_channel.h"
#include "bench/transport.h"

namespace muster {

// One connection of a benchmark, without a will of its own: it is opened, written and read when its transport says so.
//
//   kClosed ──Connect──► kConnecting ──FinishConnect──► kOpen ──Close──► kClosed
class SocketChannel {
 public:
  enum class Phase : std::uint8_t { kClosed, kConnecting, kOpen };

  SocketChannel() = default;
  ~SocketChannel() { Close(); }
  SocketChannel(const SocketChannel&) = delete;
  SocketChannel& operator=(const SocketChannel&) = delete;

  // Events carry `index`.
  void Initialise(int epoll, std::uint32_t index, std::unique_ptr<LoadChannel> protocol);

  // These four answer false when the connection is of no use any more; it is to be closed then.
  bool Connect(const HttpTarget& target, BenchTime now);
  bool FinishConnect();
  // Sends what has been appended to output(), as far as the socket takes it now.
  bool Flush();
  // One read into `buffer`; what came is put into `input`.
  bool Receive(std::string& buffer, std::string_view& input);
  void Close();

  Phase phase() const { return phase_; }
  BenchTime connecting_since() const { return connecting_since_; }
  bool has_room() const { return phase_ == Phase::kOpen && protocol_->has_room(); }
  std::string& output() { return output_; }
  LoadChannel& protocol() { return *protocol_; }

 private:
  void WatchOutput(bool wanted);

  int epoll_ = -1;
  std::uint32_t index_ = 0;
  int socket_ = -1;
  Phase phase_ = Phase::kClosed;
  bool watches_output_ = false;
  BenchTime connecting_since_{};
  std::string output_;
  std::size_t flushed_ = 0;  // bytes of output_ that are sent already
  std::unique_ptr<LoadChannel> protocol_;
};

}  // namespace muster
