#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/options.h"

namespace muster {

// How long a request may take at most: over HTTP more is refused, over gRPC, whose clients send large ones for "no
// deadline", it is taken for this.
inline constexpr Duration kDeadlineMax = std::chrono::minutes(10);
inline constexpr Duration kDeadlineDefault = std::chrono::seconds(30);

// One rule for requests over HTTP and over gRPC.
struct DeadlineOptions {
  std::int64_t default_ms = std::chrono::duration_cast<std::chrono::milliseconds>(kDeadlineDefault).count();

  Duration when_absent() const { return std::chrono::milliseconds(default_ms); }
  void Declare(OptionRegistry& options);  // "deadline.…"
};

}  // namespace muster
