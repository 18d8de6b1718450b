#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/clock.h"
#include "domain/ids.h"

namespace muster {

// How values of the domain stand in columns.

inline std::int64_t Micros(Timestamp time) { return time.time_since_epoch().count(); }

template <std::size_t kSize>
std::string_view AsBytes(const std::array<std::uint8_t, kSize>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::string_view AsBytes(const IdentityKey& key) { return AsBytes(key.bytes); }

}  // namespace muster
