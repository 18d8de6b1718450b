#pragma once

#include <cstdint>

#include "base/random.h"

namespace muster::sim {

// What a seed does to its processes: probabilities in millionths, for each request of a process to the store.
struct Weather {
  std::uint64_t lose_answer = 0;  // the answer is lost, and the transaction was or was not committed
  std::uint64_t refuse = 0;       // refused: overloaded or unavailable
  std::uint64_t crash = 0;        // the process ends before the request, or between commit and answer
  std::uint64_t pause = 0;        // the process sleeps, from milliseconds to hours
  std::uint64_t slow = 0;         // the request or its answer takes a hundred times as long

  bool IsCalm() const { return lose_answer == 0 && refuse == 0 && crash == 0 && pause == 0 && slow == 0; }

  // From calm to storm.
  static Weather Draw(Random& random) {
    const auto one_of = [&random](std::uint64_t a, std::uint64_t b, std::uint64_t c) {
      const std::uint64_t choices[3] = {a, b, c};
      return choices[random.Below(3)];
    };
    return {.lose_answer = one_of(0, 10'000, 60'000),
            .refuse = one_of(0, 10'000, 50'000),
            .crash = one_of(0, 10'000, 40'000),
            .pause = one_of(0, 10'000, 40'000),
            .slow = one_of(0, 50'000, 200'000)};
  }
};

inline bool Happens(Random& random, std::uint64_t millionths) { return random.Below(1'000'000) < millionths; }

}  // namespace muster::sim
