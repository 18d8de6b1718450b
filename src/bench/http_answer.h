#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace muster {

// Reads HTTP/1.1 answers off a stream of bytes, as little of them as a benchmark needs: the status, where the body ends
// (Content-Length or chunked), and of an error the `code` of its problem document. Bodies are skipped, not kept; what
// is kept of a partial head or an error's body is bounded. Interim answers (1xx) are skipped.
class HttpAnswerReader {
 public:
  static constexpr std::size_t kHeadBytesMax = std::size_t{64} << 10;
  static constexpr std::size_t kErrorBytesMax = 1024;  // of an error's body are looked at
  static constexpr std::size_t kCodeBytesMax = 40;

  enum class State : std::uint8_t {
    kMore,       // all of the input is used, and the answer goes on
    kComplete,   // status(), code() and closes() are of an answer that has just ended; Take may be called again
    kMalformed,  // this is no answer whose end could be found; nothing more can be read from the connection
  };

  // Takes bytes off the front of `input`, to the end of an answer at most.
  State Take(std::string_view& input);

  int status() const { return status_; }
  std::string_view code() const { return code_; }  // "OVERLOADED"; empty: none was found
  bool closes() const { return closes_; }          // the server ends the connection after it
  // Nothing of a next answer has been taken.
  bool is_between_answers() const { return phase_ == Phase::kHead && partial_.empty(); }

 private:
  enum class Phase : std::uint8_t { kHead, kBody, kChunkSize, kChunkData, kChunkEnd, kTrailer };

  State TakeHead(std::string_view& input);
  bool ReadHead(std::string_view head);
  State TakeBody(std::string_view& input);
  State TakeChunked(std::string_view& input);
  // A line without its end, whole; nothing: more is needed or it is too long.
  bool TakeLine(std::string_view& input, std::string& line, State& state);
  void KeepErrorText(std::string_view body);
  State Complete();

  Phase phase_ = Phase::kHead;
  int status_ = 0;
  bool closes_ = false;
  std::uint64_t body_left_ = 0;
  std::string partial_;  // of a head or a line whose end has not arrived
  std::string error_text_;
  std::string code_;
};

}  // namespace muster
