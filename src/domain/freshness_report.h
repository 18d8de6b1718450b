#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "domain/ids.h"

namespace muster {

// Of one tier, over all writes that were sampled.
struct TierFreshness {
  std::string name = {};
  std::string center = {};
  Duration bound{0};            // as declared
  std::int64_t samples = 0;     // that it has answered, at once or later
  std::int64_t late = 0;        // had something older when it was first asked
  std::int64_t beyond = 0;      // still had, after `bound`
  std::int64_t unanswered = 0;  // could not be asked for as long as was tried
  Duration latest{0};           // after its acknowledgement, of all that were late

  // How many nines of the samples were seen there within the bound; as many as there are samples for, when none was
  // not.
  double nines() const {
    if (samples == 0) return 0;
    // None was beyond: there may be one among the next as many.
    const double share = std::max<double>(static_cast<double>(beyond), 1) / static_cast<double>(samples);
    return share >= 1 ? 0 : -std::log10(share);
  }
};

// A write that a tier did not have when it was acknowledged.
struct LateSample {
  MemberId member;
  Version version;
  Timestamp acknowledged{};
  std::string tier;
  Version held{0};       // what it had instead
  Duration late{0};      // until it was seen there
  bool is_over = false;  // false: not seen yet, or given up
};

// What a sampler of freshness has found since its start.
struct FreshnessReport {
  Timestamp since{};
  std::int64_t samples = 0;
  std::int64_t skipped = 0;  // not taken, since too many were under way
  std::vector<TierFreshness> tiers = {};
  std::vector<LateSample> late = {};  // the newest last
};

}  // namespace muster
