#include "base/random.h"

#include <openssl/rand.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace muster {

__extension__ typedef unsigned __int128 Wide;

std::uint64_t Random::Next() {
  std::uint64_t value = 0;
  Fill(std::span(reinterpret_cast<std::uint8_t*>(&value), sizeof value));
  return value;
}

std::uint64_t Random::Below(std::uint64_t bound) {
  MUSTER_CHECK(bound > 0);
  // Lemire's multiply-shift; its bias of at most bound / 2^64 is far below anything observable here.
  return static_cast<std::uint64_t>((static_cast<Wide>(Next()) * bound) >> 64);
}

void SystemRandom::Fill(std::span<std::uint8_t> bytes) {
  MUSTER_CHECK(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1);
}

void SeededRandom::Fill(std::span<std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const std::uint64_t word = Mix64(state_);
    state_ += 0x9E3779B97F4A7C15ULL;
    const std::size_t count = std::min(bytes.size(), sizeof word);
    std::memcpy(bytes.data(), &word, count);
    bytes = bytes.subspan(count);
  }
}

}  // namespace muster
