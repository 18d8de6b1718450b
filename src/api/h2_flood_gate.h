#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.h"

namespace muster {

// Bounds what a client may make a server do without getting an answer: pings, settings, resets, empty frames, streams
// that are refused (CVE-2023-44487, CVE-2019-9512 to 9518). A call that ends well earns one such frame, so that who
// works may cancel and probe as he likes; beyond, a thousand at once and a hundred a second are for free.
class H2FloodGate {
 public:
  static constexpr std::int64_t kFramesMax = 1000;
  static constexpr std::int64_t kFramesPerSecond = 100;

  explicit H2FloodGate(Instant now) : at_(now) {}

  // False: that was one too many.
  bool Pass(Instant now) {
    constexpr Duration kPerFrame = Duration(std::chrono::seconds(1)) / kFramesPerSecond;
    const std::int64_t earned = (now - at_) / kPerFrame;
    at_ += earned * kPerFrame;
    left_ = std::min(kFramesMax, left_ + earned);
    return --left_ >= 0;
  }
  void Earn() { left_ = std::min(kFramesMax, left_ + 1); }

 private:
  Instant at_;
  std::int64_t left_ = kFramesMax;
};

}  // namespace muster
