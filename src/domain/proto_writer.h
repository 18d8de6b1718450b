#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace muster {

// Wire types of protobuf (https://protobuf.dev/programming-guides/encoding).
enum class WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

namespace proto_wire {

inline constexpr std::size_t kVarintBytesMax = 10;

// Each writes at `out` and answers the end of what it wrote.
inline char* WriteVarint(char* out, std::uint64_t number) {
  while (number >= 0x80) {
    *out++ = static_cast<char>(number | 0x80);
    number >>= 7;
  }
  *out++ = static_cast<char>(number);
  return out;
}
inline char* WriteTag(char* out, unsigned field, WireType type) {
  return WriteVarint(out, std::uint64_t{field} << 3 | static_cast<unsigned>(type));
}

// A message whose length is known only when it is written. Begin leaves a byte for it, which is enough for most; End
// moves what is longer. `begin` is what Begin answered.
char* EndMessage(char* begin, char* end);

// A google.protobuf.Timestamp, its length before it.
inline constexpr std::size_t kTimeBytesMax = 20;
char* WriteTime(char* out, Timestamp time);

}  // namespace proto_wire

// Appends a protobuf message to a string, a field a call. What is at its default is left out, as proto3 does.
class ProtoWriter {
 public:
  explicit ProtoWriter(std::string& out) : out_(out) {}

  void Number(unsigned field, std::int64_t number);
  void Bool(unsigned field, bool flag) { Number(field, flag ? 1 : 0); }
  void Text(unsigned field, std::string_view text) {
    if (!text.empty()) Bytes(field, text);
  }
  void Bytes(unsigned field, std::string_view bytes);  // also when empty: an element of a list
  void Time(unsigned field, Timestamp time);           // 1970-01-01T00:00:00Z is left out

  // A message in a field: what is written until End is its own. In pairs, the inner ones ended first.
  [[nodiscard]] std::size_t Begin(unsigned field);
  void End(std::size_t begin);

 private:
  void Tag(unsigned field, WireType type);

  std::string& out_;
};

}  // namespace muster
