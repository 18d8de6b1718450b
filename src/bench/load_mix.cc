#include "bench/load_mix.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace muster {
namespace {

constexpr std::array<std::string_view, kVerbCount> kVerbNames = {
    "get", "resolve", "update", "batchGet", "register", "batchResolve", "search", "bind", "unbind", "merge", "unmerge"};

std::optional<LoadVerb> VerbOf(std::string_view name) {
  const auto* const found = std::ranges::find(kVerbNames, name);
  if (found == kVerbNames.end()) return std::nullopt;
  return kAllVerbs[static_cast<std::size_t>(found - kVerbNames.begin())];
}

std::unexpected<Error> Wrong(const std::string& what) {
  return Fail(Reason::kInvalidArgument, "a mix is verbs with their weights, as in get=80,resolve=15,update=5: " + what);
}

}  // namespace

std::string_view VerbName(LoadVerb verb) { return kVerbNames[static_cast<std::size_t>(verb)]; }

std::uint64_t LoadMix::Sum() const {
  std::uint64_t sum = 0;
  for (const std::uint32_t one : weights) sum += one;
  return sum;
}

std::string LoadMix::Text() const {
  std::string text;
  for (const LoadVerb verb : kAllVerbs) {
    if (!Has(verb)) continue;
    text += text.empty() ? "" : ",";
    text.append(VerbName(verb)).append("=").append(std::to_string(weight(verb)));
  }
  return text;
}

Result<LoadMix> ParseLoadMix(std::string_view text) {
  LoadMix mix;
  std::array<bool, kVerbCount> seen{};
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const std::string_view part = text.substr(at, comma - at);
    at = comma + 1;
    const std::size_t equals = part.find('=');
    const auto verb = VerbOf(part.substr(0, equals));
    if (!verb) {
      std::string names;
      for (const std::string_view name : kVerbNames) names.append(names.empty() ? "" : ", ").append(name);
      return Wrong("the verbs are " + names + ", not '" + std::string(part.substr(0, equals)) + "'");
    }
    const std::string_view digits = equals == std::string_view::npos ? "" : part.substr(equals + 1);
    std::uint32_t weight = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), weight);
    if (error != std::errc() || end != digits.data() + digits.size() || weight > LoadMix::kWeightMax) {
      return Wrong("the weight of " + std::string(VerbName(*verb)) + " is a whole number up to 1000000");
    }
    const auto index = static_cast<std::size_t>(*verb);
    if (std::exchange(seen[index], true)) return Wrong(std::string(VerbName(*verb)) + " is there twice");
    mix.weights[index] = weight;
  }
  if (mix.Sum() == 0) return Wrong("at least one weight must be above zero");
  return mix;
}

}  // namespace muster
