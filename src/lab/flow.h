#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace muster::lab {

// What is on its way in one direction of a connection: bytes, and then perhaps its end. In order, and each no earlier
// than it is due. It has no socket and no clock, and belongs to one thread.
//
//   open ──End──► ending ──(all taken)──► kEnd     the sender has nothing more; the other direction goes on
//    └──Abort──► broken ──(all taken)──► kAbort    the sender is gone; its time having come, also past what nobody
//    takes
class Flow {
 public:
  static constexpr std::size_t kBytesMax = 256 << 10;  // then nothing more is read from the sender

  enum class Next : std::uint8_t { kNothing, kBytes, kEnd, kAbort };

  std::size_t room() const { return is_closed() ? 0 : kBytesMax - bytes_; }
  bool is_closed() const { return last_ != Next::kNothing; }  // nothing more is put

  // At most room().
  void Put(std::string_view bytes, Instant due);
  void End(Instant due) { Close(Next::kEnd, due); }
  void Abort(Instant due);

  Next NextAt(Instant now) const;
  bool IsAbortDue(Instant now) const { return last_ == Next::kAbort && !is_finished_ && last_due_ <= now; }
  // When there will be something that is not there now; none: not by waiting.
  std::optional<Instant> DueAfter(Instant now) const;
  // If NextAt says kBytes.
  std::string_view Front() const;
  void Take(std::size_t count);
  // It has been passed on, or there is nobody any more to pass it on to.
  void Finish() { is_finished_ = true; }
  bool is_finished() const { return is_finished_; }

 private:
  struct Chunk {
    std::string bytes;
    Instant due;
  };
  void Close(Next last, Instant due);

  std::deque<Chunk> chunks_;
  std::size_t taken_ = 0;  // of the first chunk
  std::size_t bytes_ = 0;
  Next last_ = Next::kNothing;
  Instant last_due_{};
  bool is_finished_ = false;
};

// A rate as a bucket of bytes that fills with time.
class TokenBucket {
 public:
  // How many bytes may go now; `rate` is a second's.
  std::size_t Available(std::int64_t rate, Instant now);
  void Spend(std::size_t count) { tokens_ -= static_cast<double>(count); }
  // When there is something again.
  static Instant Again(std::int64_t rate, Instant now);

 private:
  double tokens_ = 0;
  Instant filled_at_{};
};

}  // namespace muster::lab
