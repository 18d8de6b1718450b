#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace muster {

// What a client of HTTP/2 (RFC 9113) needs of frames.
enum class H2FrameType : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};
inline constexpr std::uint8_t kH2EndStream = 0x1;
inline constexpr std::uint8_t kH2Ack = 0x1;
inline constexpr std::uint8_t kH2EndHeaders = 0x4;
inline constexpr std::uint8_t kH2Padded = 0x8;
inline constexpr std::uint8_t kH2Priority = 0x20;

inline constexpr std::size_t kH2FrameHeadBytes = 9;
inline constexpr std::size_t kH2PayloadBytesMax = 16'384;  // unless somebody allows more, and nobody does here

struct H2Frame {
  H2FrameType type{};
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
  std::string_view payload = {};

  bool Has(std::uint8_t flag) const { return (flags & flag) != 0; }
};

void AppendH2Number(std::string& out, std::uint32_t number, int bytes);
std::uint32_t ReadH2Number(std::string_view bytes);  // all of them, at most four
void AppendH2Frame(std::string& out, const H2Frame& frame);

// Cuts a stream of bytes into frames; keeps no more than one.
class H2FrameReader {
 public:
  enum class State : std::uint8_t { kMore, kFrame, kMalformed };

  // Takes bytes off the front of `input`, to the end of a frame at most. `frame` is valid until the next call, and as
  // long as `input` is.
  State Take(std::string_view& input, H2Frame& frame);

 private:
  std::string partial_;
  bool is_taken_ = false;  // partial_ was given as a frame
};

}  // namespace muster
