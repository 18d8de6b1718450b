#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/http_answer.h"
#include "bench/http_target.h"
#include "bench/transport.h"

namespace muster {

// One connection of a benchmark, without a will of its own: it is opened, written and read when its transport says so.
//
//   kClosed ──Connect──► kConnecting ──FinishConnect──► kOpen ──Close──► kClosed
class HttpChannel {
 public:
  enum class Phase : std::uint8_t { kClosed, kConnecting, kOpen };
  struct UnderWay {
    std::uint32_t token = 0;
    BenchTime sent{};
  };

  HttpChannel() = default;
  ~HttpChannel() { Close(); }
  HttpChannel(const HttpChannel&) = delete;
  HttpChannel& operator=(const HttpChannel&) = delete;

  // `depth`: requests under way at most. Events carry `index`.
  void Initialise(int epoll, std::uint32_t index, std::uint32_t depth);

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
  bool has_room() const { return phase_ == Phase::kOpen && count_ < under_way_.size(); }
  std::string& output() { return output_; }
  HttpAnswerReader& reader() { return reader_; }

  std::size_t under_way() const { return count_; }
  const UnderWay& oldest() const { return under_way_[first_]; }
  void Push(UnderWay request);
  UnderWay Pop();

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
  HttpAnswerReader reader_;
  std::vector<UnderWay> under_way_;  // a ring, oldest first
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

}  // namespace muster
