#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "bench/load_call.h"
#include "bench/load_mix.h"
#include "bench/population.h"
#include "bench/transport.h"
#include "bench/two_way.h"
#include "bench/zipf.h"

namespace muster {

// Draws the requests of one thread: the verb by the mix, whom it is about by Zipf's law. The same seed draws the same
// ones again, but for what is done and undone: that depends on answers. What a LoadCall points at is valid until the
// next Make.
//
// Each member gets one account at most from bind, in turn, and unbind takes back what bind has put. Members that are
// merged and parted again are pairs that no other verb is about. Where there is nothing to undo, or to do, it is the
// other way round, and where there is neither a get.
class CallMaker {
 public:
  static constexpr std::size_t kBatchMax = 1000;

  struct Options {
    LoadMix mix;
    double zipf_exponent = 0.99;  // 0: uniform
    std::size_t batch = 100;      // of a batchGet or batchResolve, 1 to kBatchMax
    std::uint64_t seed = 1;
    // Threads share the population: this one binds and merges every `parts`-th member from number `part` on.
    std::size_t part = 0;
    std::size_t parts = 1;
  };
  // A batchResolve asks for fewer when so many do not fit: it has to fit in one frame over gRPC.
  static constexpr std::size_t kBatchBytesMax = 15'000;
  // How many members a population needs to be merged by `parts` threads.
  static constexpr std::size_t MergeableMembersMin(std::size_t parts) { return 4 * parts; }

  // The population has members if the mix needs any, identities if it has resolve or batchResolve, and
  // MergeableMembersMin if it has merge or unmerge; it outlives this.
  CallMaker(const Options& options, const Population& population);

  LoadCall Make();
  // How a call ended that Make has made.
  void Settle(LoadVerb verb, std::uint32_t thing, const LoadAnswer& answer);
  // The verb of a request that never gets as far as being made.
  LoadVerb DrawVerb();

 private:
  MemberId DrawMember() { return population_.members[members_.Draw(random_)]; }
  void DrawIdentities();
  void DrawAccount(LoadCall& call);
  void DrawPair(LoadCall& call);

  const Options options_;
  const Population& population_;
  const std::size_t pairs_of_part_;  // at the end of the population
  const std::size_t asked_for_;      // members before the pairs
  const Zipf members_;
  const Zipf identities_;
  SeededRandom random_;
  TwoWay accounts_;
  TwoWay pairs_;
  std::uint64_t registered_ = 0;
  std::vector<MemberId> ids_;
  std::vector<IdentityView> views_;
  std::string account_;
};

}  // namespace muster
