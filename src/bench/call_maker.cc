#include "bench/call_maker.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace muster {
namespace {

// What updates write and registered members have.
constexpr std::array<std::string_view, 6> kCities = {"Suzhou", "Shanghai", "Hangzhou", "Chengdu", "Osaka", "Leeds"};

}  // namespace

CallMaker::CallMaker(const Options& options, const Population& population)
    : options_(options),
      population_(population),
      members_(std::max<std::size_t>(population.members.size(), 1), options.zipf_exponent),
      identities_(std::max<std::size_t>(population.identities.size(), 1), options.zipf_exponent),
      random_(options.seed) {
  MUSTER_CHECK(!population.members.empty() && options.mix.Sum() > 0);
  MUSTER_CHECK(!options.mix.Has(LoadVerb::kResolve) || population.identities.size() > 0);
  MUSTER_CHECK(options.batch > 0 && options.batch <= kBatchMax);
  ids_.reserve(options.batch);
}

LoadVerb CallMaker::DrawVerb() {
  std::uint64_t dice = random_.Below(options_.mix.Sum());
  for (const LoadVerb verb : kAllVerbs) {
    if (dice < options_.mix.weight(verb)) return verb;
    dice -= options_.mix.weight(verb);
  }
  MUSTER_UNREACHABLE("a weight beyond the sum of all");
}

LoadCall CallMaker::Make() {
  LoadCall call{.verb = DrawVerb(), .ids = {}, .identity = {}, .city = {}, .account = {}};
  ids_.clear();
  switch (call.verb) {
    case LoadVerb::kGet:
    case LoadVerb::kUpdate:
      ids_.push_back(DrawMember());
      break;
    case LoadVerb::kBatchGet:
      while (ids_.size() < options_.batch) ids_.push_back(DrawMember());
      break;
    case LoadVerb::kResolve:
      call.identity = population_.identities.At(identities_.Draw(random_));
      break;
    case LoadVerb::kRegister:
      account_ = std::to_string(options_.seed) + "-" + std::to_string(++registered_);
      call.account = account_;
      break;
  }
  call.ids = ids_;
  if (call.verb == LoadVerb::kUpdate || call.verb == LoadVerb::kRegister)
    call.city = kCities[random_.Below(kCities.size())];
  return call;
}

}  // namespace muster
