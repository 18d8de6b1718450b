#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/buffer_pool.h"
#include "base/check.h"

namespace muster {

// What one connection has to send: puts answers into the order of their requests and keeps what the socket has not
// taken. Answers that come in order are written where they are sent from; others are parked until their turn.
class HttpOutput {
 public:
  // `pool` has to outlive this.
  explicit HttpOutput(BufferPool& pool) : pool_(pool) {}
  HttpOutput(const HttpOutput&) = delete;

  // A request arrived; its answer is the next but under_way() others.
  std::uint64_t Begin() { return begun_++; }
  std::size_t under_way() const { return static_cast<std::size_t>(begun_ - answered_); }
  std::uint64_t begun() const { return begun_; }

  // Calls write(std::string&) with the string to append the answer of request `sequence` to. Each once.
  template <typename Write>
  void Answer(std::uint64_t sequence, Write write) {
    MUSTER_CHECK(sequence >= answered_ && sequence < begun_);
    if (sequence != answered_) {
      Parked& parked = parked_.emplace_back(Parked{.sequence = sequence, .text = {}});
      write(parked.text);
      parked_bytes_ += parked.text.size();
      return;
    }
    write(Tail());
    ++answered_;
    if (!parked_.empty()) Unpark();
  }

  // The answer of request `sequence` leaves piece by piece: appended to what is returned, once all before it are
  // answered, until Finish.
  bool is_next(std::uint64_t sequence) const { return sequence == answered_; }
  std::string& Continue(std::uint64_t sequence) {
    MUSTER_CHECK(is_next(sequence));
    return Tail();
  }
  void Finish(std::uint64_t sequence) {
    MUSTER_CHECK(is_next(sequence));
    ++answered_;
    if (!parked_.empty()) Unpark();
  }

  // Adds a header line to the answer of request `sequence` when that waits for others before it; nothing otherwise.
  void AddLine(std::uint64_t sequence, std::string_view line);

  // An interim answer: only while nothing is under way before the request it belongs to.
  void AppendInterim(std::string_view text) { Tail().append(text); }

  std::string_view unsent() const { return std::string_view(buffer_).substr(sent_); }
  bool empty() const { return sent_ == buffer_.size(); }
  std::size_t unsent_bytes() const { return buffer_.size() - sent_; }
  // Everything that waits: unsent, and parked.
  std::size_t bytes() const { return buffer_.size() - sent_ + parked_bytes_; }
  // Everything that takes memory: what has left may still lie before what has not. The memory is at most twice that,
  // if Fit was called.
  std::size_t held_bytes() const { return buffer_.size() + parked_bytes_; }
  // The socket took that much of unsent().
  void Sent(std::size_t count);
  // What is unsent will stay for a while, so it gets a buffer of its size.
  void Fit();
  // Nothing will be sent any more.
  void Drop();

 private:
  struct Parked {
    std::uint64_t sequence;
    std::string text;
  };

  std::string& Tail() {
    if (buffer_.empty()) buffer_ = pool_.Take();
    return buffer_;
  }
  void Unpark();

  BufferPool& pool_;
  std::string buffer_;
  std::size_t sent_ = 0;
  std::uint64_t begun_ = 0;
  std::uint64_t answered_ = 0;  // all before this one are in buffer_ or gone
  std::vector<Parked> parked_;
  std::size_t parked_bytes_ = 0;
};

}  // namespace muster
