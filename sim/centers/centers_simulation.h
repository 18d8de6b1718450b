#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "centers/planted_in_centers.h"

namespace muster::sim {

struct CentersResult {
  std::optional<std::string> failure;  // what the checker says
  std::deque<std::string> events;      // the last ones, when they were asked for
  std::uint64_t acknowledged = 0;
  std::uint64_t reads = 0;
  std::uint64_t failovers = 0;
  std::uint64_t events_run = 0;
  std::optional<Duration> pause = {};  // of writes, in a run in which nothing but a center is lost
  std::map<std::string, std::uint64_t> answers;
};

// Runs one seed: two centers with two servers, two databases and a Redis each, and a witness; their clients; and what
// goes wrong, which a plan drawn from the seed says. The same arguments give the same run.
CentersResult RunCenters(std::uint64_t seed, PlantedInCenters bug, bool with_events);

}  // namespace muster::sim
