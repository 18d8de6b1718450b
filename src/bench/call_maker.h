#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "bench/load_call.h"
#include "bench/load_mix.h"
#include "bench/population.h"
#include "bench/zipf.h"

namespace muster {

// Draws the requests of one thread: the verb by the mix, whom it is about by Zipf's law. The same seed draws the same
// ones again. What a LoadCall points at is valid until the next Make.
class CallMaker {
 public:
  static constexpr std::size_t kBatchMax = 1000;

  struct Options {
    LoadMix mix;
    double zipf_exponent = 0.99;  // 0: uniform
    std::size_t batch = 100;      // ids of a batchGet, 1 to kBatchMax
    std::uint64_t seed = 1;
  };
  // The population has members, and identities if the mix has resolve; it outlives this.
  CallMaker(const Options& options, const Population& population);

  LoadCall Make();
  // The verb of a request that never gets as far as being made.
  LoadVerb DrawVerb();

 private:
  MemberId DrawMember() { return population_.members[members_.Draw(random_)]; }

  const Options options_;
  const Population& population_;
  const Zipf members_;
  const Zipf identities_;
  SeededRandom random_;
  std::uint64_t registered_ = 0;
  std::vector<MemberId> ids_;
  std::string account_;
};

}  // namespace muster
