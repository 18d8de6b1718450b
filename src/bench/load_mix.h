#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/result.h"
#include "bench/load_call.h"

namespace muster {

// How often each verb is asked for, in relation to the others.
struct LoadMix {
  static constexpr std::uint32_t kWeightMax = 1'000'000;

  std::array<std::uint32_t, kVerbCount> weights{};

  std::uint32_t weight(LoadVerb verb) const { return weights[static_cast<std::size_t>(verb)]; }
  bool Has(LoadVerb verb) const { return weight(verb) > 0; }
  std::uint64_t Sum() const;
  // A verb other than register is about members that are there.
  bool NeedsMembers() const { return Sum() > weight(LoadVerb::kRegister); }

  // "get=80,resolve=15,update=5", without the verbs that do not occur.
  std::string Text() const;
};

// Reads what Text() writes: verbs in any order, each once, at least one with a weight above zero.
Result<LoadMix> ParseLoadMix(std::string_view text);

}  // namespace muster
