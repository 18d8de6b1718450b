#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/http_parser.h"

namespace muster {

// Chunk extensions of a whole body; a body of one-byte chunks with long extensions costs no more than this.
inline constexpr std::size_t kChunkExtensionBytesMax = 4 << 10;

// Takes the chunked transfer coding (RFC 9112 section 7.1) off a body that arrives in pieces. Extensions and trailer
// fields are checked, bounded and dropped.
class ChunkedDecoder {
 public:
  explicit ChunkedDecoder(const HttpLimits& limits) : limits_(limits) {}

  // Decodes what it can of `input` and appends the data to `body`. `consumed` is how much of `input` is done with: all
  // of it unless the answer is kComplete. 400 malformed · 413 the body is above the bound · 431 the trailer is.
  HttpParse Feed(std::string_view input, std::string& body, std::size_t& consumed, HttpRejection& rejection);

 private:
  enum class State : std::uint8_t {
    kSize,       // at least one hexadecimal digit
    kSpace,      // white space before an extension's semicolon
    kExtension,  //
    kSizeLf,     // the line feed after the size
    kData,       //
    kDataCr,     // the line end after the data
    kDataLf,     //
    kLine,       // the start of a trailer line, or of the empty one
    kName,       //
    kValue,      //
    kValueLf,    //
    kLastLf,     // the line feed of the empty line
    kDone,
  };

  // One character of anything but data. Null when it fits, else what is wrong.
  const char* Step(char c);
  const char* StepSize(char c);
  const char* StepTrailer(char c);

  const HttpLimits& limits_;
  State state_ = State::kSize;
  std::uint8_t size_digits_ = 0;
  std::size_t chunk_ = 0;  // bytes of the current chunk still to come
  std::size_t extension_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
  std::size_t trailer_fields_ = 0;
};

}  // namespace muster
