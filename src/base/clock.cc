#include "base/clock.h"

namespace muster {

Timestamp SystemClock::Now() const { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }

Instant SystemClock::Monotonic() const {
  return Instant(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

}  // namespace muster
