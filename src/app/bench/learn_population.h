#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "app/cli/exit_code.h"
#include "app/client/http_client.h"
#include "bench/population.h"

namespace muster {

// Whom a benchmark asks for. `progressed` hears now and then how many members are known.
struct PopulationWish {
  std::size_t members = 100'000;  // at most
  bool with_identities = false;   // values in clear
  std::function<void(std::uint64_t)> progressed;
};

// From the admin port of this server, which the key must allow to export (members.import and personal.read). Of a
// directory with more members a sample. kNotFound when nobody is there.
Outcome<Population> LearnPopulation(const HttpClientOptions& server, const PopulationWish& wish);

// The first members of a file that `muster export` wrote.
Outcome<Population> ReadPopulation(const std::string& path, const PopulationWish& wish);

}  // namespace muster
