#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "domain/ids.h"

namespace muster::redis {

inline constexpr std::size_t kSlotCount = 16'384;

// CRC16 (XMODEM) modulo 16,384: the slot of a key's hash tag, as Redis Cluster has it.
constexpr std::uint16_t SlotOf(std::string_view tag) {
  std::uint16_t crc = 0;
  for (const char c : tag) {
    crc = static_cast<std::uint16_t>(crc ^ (static_cast<std::uint8_t>(c) << 8));
    for (int bit = 0; bit < 8; ++bit) {
      crc = static_cast<std::uint16_t>((crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1);
    }
  }
  return crc % kSlotCount;
}

// The slot of the hash tag of a logical shard: its number in decimal digits.
std::uint16_t SlotOf(ShardId shard);

}  // namespace muster::redis
