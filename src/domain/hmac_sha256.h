#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace muster {

// HMAC-SHA-256 (RFC 2104) with a fixed key of at most 64 bytes, whose two key blocks are hashed once, on construction.
// Not thread-safe.
class HmacSha256 {
 public:
  explicit HmacSha256(std::span<const std::uint8_t> key);
  ~HmacSha256();
  HmacSha256(const HmacSha256&) = delete;
  HmacSha256& operator=(const HmacSha256&) = delete;

  // Of the concatenation of `parts`.
  std::array<std::uint8_t, 32> Hash(std::span<const std::string_view> parts);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace muster
