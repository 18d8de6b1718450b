#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace muster {

// What a loop's scratch buffers and parsers keep between calls; above it, memory is given back.
inline constexpr std::size_t kScratchBytesMax = std::size_t{256} << 10;

// Whether a buffer has more than twice the memory that `bytes` need, so more than it can have by growing to them.
// Connections count bytes and not memory; one that stays must not have more.
inline bool IsOversized(const std::string& buffer, std::size_t bytes) { return bytes < buffer.capacity() / 2; }

// Removes the first `count` bytes. When little is left of much, that is moved to memory of its size.
inline void DropFront(std::string& buffer, std::size_t count) {
  if (IsOversized(buffer, buffer.size() - count)) {
    std::string(buffer, count).swap(buffer);  // assigning a short string would keep the memory
  } else {
    buffer.erase(0, count);
  }
}

// Empty strings that have kept their memory, so that connections hold a buffer only while there is something in it. One
// thread.
class BufferPool {
 public:
  static constexpr std::size_t kBuffersMax = 256;
  static constexpr std::size_t kBufferBytesMin = 64;        // below, there is nothing worth keeping
  static constexpr std::size_t kBufferBytesMax = 64 << 10;  // a larger one is freed: pool memory stays below 16 MiB

  std::string Take() {
    if (free_.empty()) return {};
    std::string buffer = std::move(free_.back());
    free_.pop_back();
    return buffer;
  }

  void Give(std::string buffer) {
    if (buffer.capacity() < kBufferBytesMin || buffer.capacity() > kBufferBytesMax || free_.size() == kBuffersMax)
      return;
    buffer.clear();
    free_.push_back(std::move(buffer));
  }

 private:
  std::vector<std::string> free_;
};

}  // namespace muster
