#pragma once

#include <cstddef>

#include "base/clock.h"

namespace muster {

// What connections of both protocols are held to.

// A request that is not whole yet may hold this much even when all connections together hold too much.
inline constexpr std::size_t kSmallRequestBytes = 16 << 10;

// How long one connection's calls are handled while others wait.
inline constexpr Duration kStretchTimeMax = std::chrono::milliseconds(1);

// While room is short, nobody waits longer for a client that neither reads nor sends.
inline constexpr Duration kStallTime = std::chrono::seconds(2);

// A stream may be taken so many times as slowly as an answer: what its client reads from its own buffers does not show
// here until these are half empty.
inline constexpr int kStreamPatience = 10;

// How long and how much a client may go on sending after its last answer, so that it reads that answer before a reset.
inline constexpr std::chrono::milliseconds kLingerTime{2000};
inline constexpr std::size_t kLingerBytesMax = 16 << 20;

}  // namespace muster
