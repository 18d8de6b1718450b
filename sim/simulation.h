#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "planted.h"

namespace muster::sim {

struct RunResult {
  std::optional<std::string> failure;  // what the checker says
  std::deque<std::string> events;      // the last ones, when they were asked for
  std::uint64_t commits = 0;
  std::uint64_t replays = 0;
  std::uint64_t events_run = 0;
  std::map<std::string, std::uint64_t> answers;
};

// Runs one seed: a directory over one to four databases, one process that has them for itself or several, with their
// clients, and weather. The same arguments give the same run.
RunResult RunSeed(std::uint64_t seed, Planted bug, bool with_events);

}  // namespace muster::sim
