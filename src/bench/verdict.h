#pragma once

#include <string>
#include <string_view>

#include "bench/measurement.h"

namespace muster {

// What kept a load from being faster, or from being what was asked for.
enum class LoadLimit : std::uint8_t {
  kNone,       // the rate that was asked for was kept
  kServer,     // requests waited for a connection: the server is at its limit, or there are too few connections
  kGenerator,  // the generator itself was late or had no time left: what was measured is about it
};
std::string_view LimitName(LoadLimit limit);  // "none", "server", "generator"

// A generator that is later than this by its own doing, at 99 %, does not measure the server any more.
inline constexpr std::chrono::nanoseconds kOwnLagMax = std::chrono::milliseconds(1);
// One of its threads that is at work, or waits for a processor, for this share of the time has none left.
inline constexpr double kBusyMax = 0.9;
// Requests that are later than this at 99 %, for whatever reason, are not at the rate that was asked for.
inline constexpr std::chrono::nanoseconds kDelayMax = std::chrono::milliseconds(10);

struct LoadVerdict {
  LoadLimit limit = LoadLimit::kNone;
  std::string reason;  // one sentence of what was seen and what to do; empty for kNone
};

// `is_open_loop`: there was a rate to keep.
LoadVerdict Judge(const Measurement& measurement, bool is_open_loop);

// The same question for one second, by the generator's own lag and time alone.
bool IsGeneratorLimited(const LoadWindow& window, bool is_open_loop);

}  // namespace muster
