#include "bench/call_maker.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace muster {
namespace {

// What updates write, registered members have, and searches look for where no member has a city.
constexpr std::array<std::string_view, 6> kCities = {"Suzhou", "Shanghai", "Hangzhou", "Chengdu", "Osaka", "Leeds"};

// Of one thread.
constexpr std::size_t kPairsMax = 1000;
constexpr std::size_t kAccountsMax = 100'000;

// What an identity takes in a message beside its texts.
constexpr std::size_t kIdentityBytes = 12;

std::size_t PairsOf(const CallMaker::Options& options, const Population& population) {
  if (!options.mix.Has(LoadVerb::kMerge) && !options.mix.Has(LoadVerb::kUnmerge)) return 0;
  return std::min(kPairsMax, population.members.size() / CallMaker::MergeableMembersMin(options.parts));
}

std::size_t AccountsOf(const CallMaker::Options& options, std::size_t members) {
  if (!options.mix.Has(LoadVerb::kBind) && !options.mix.Has(LoadVerb::kUnbind)) return 0;
  return std::min(kAccountsMax, (members + options.parts - 1 - options.part) / options.parts);
}

TwoWay::Outcome OutcomeOf(const LoadAnswer& answer) {
  if (answer.is_success) return TwoWay::Outcome::kDone;
  return answer.kind == LoadAnswer::Kind::kAnswered ? TwoWay::Outcome::kRefused : TwoWay::Outcome::kUnknown;
}

}  // namespace

CallMaker::CallMaker(const Options& options, const Population& population)
    : options_(options),
      population_(population),
      pairs_of_part_(PairsOf(options, population)),
      asked_for_(population.members.size() - 2 * pairs_of_part_ * options.parts),
      members_(std::max<std::size_t>(asked_for_, 1), options.zipf_exponent),
      identities_(std::max<std::size_t>(population.identities.size(), 1), options.zipf_exponent),
      random_(options.seed),
      accounts_(AccountsOf(options, asked_for_)),
      pairs_(pairs_of_part_) {
  const LoadMix& mix = options.mix;
  MUSTER_CHECK(!population.members.empty() || !mix.NeedsMembers());
  MUSTER_CHECK(mix.Sum() > 0 && options.part < options.parts);
  MUSTER_CHECK((!mix.Has(LoadVerb::kResolve) && !mix.Has(LoadVerb::kBatchResolve)) || population.identities.size() > 0);
  MUSTER_CHECK((!mix.Has(LoadVerb::kMerge) && !mix.Has(LoadVerb::kUnmerge)) || pairs_of_part_ > 0);
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
  LoadCall call;
  call.verb = DrawVerb();
  ids_.clear();
  switch (call.verb) {
    case LoadVerb::kGet:
      ids_.push_back(DrawMember());
      break;
    case LoadVerb::kUpdate:
      ids_.push_back(DrawMember());
      call.city = kCities[random_.Below(kCities.size())];
      break;
    case LoadVerb::kBatchGet:
      while (ids_.size() < options_.batch) ids_.push_back(DrawMember());
      break;
    case LoadVerb::kResolve:
      call.identity = population_.identities.At(identities_.Draw(random_));
      break;
    case LoadVerb::kBatchResolve:
      DrawIdentities();
      call.identities = views_;
      break;
    case LoadVerb::kSearch:
      call.city = population_.cities.empty() ? kCities[random_.Below(kCities.size())]
                                             : population_.cities[random_.Below(population_.cities.size())];
      break;
    case LoadVerb::kRegister:
      account_ = std::to_string(options_.seed) + "-" + std::to_string(++registered_);
      call.account = account_;
      call.city = kCities[random_.Below(kCities.size())];
      break;
    case LoadVerb::kBind:
    case LoadVerb::kUnbind:
      DrawAccount(call);
      break;
    case LoadVerb::kMerge:
    case LoadVerb::kUnmerge:
      DrawPair(call);
      break;
  }
  call.ids = ids_;
  return call;
}

void CallMaker::DrawIdentities() {
  views_.clear();
  for (std::size_t bytes = 0; views_.size() < options_.batch;) {
    const IdentityView view = population_.identities.At(identities_.Draw(random_));
    bytes += kIdentityBytes + view.kind.size() + view.platform.size() + view.value.Reveal().size();
    if (bytes > kBatchBytesMax && !views_.empty()) return;
    views_.push_back(view);
  }
}

void CallMaker::DrawAccount(LoadCall& call) {
  const auto step = accounts_.Next(call.verb == LoadVerb::kUnbind);
  if (!step) {
    call.verb = LoadVerb::kGet;
    ids_.push_back(DrawMember());
    return;
  }
  call.verb = step->undoes ? LoadVerb::kUnbind : LoadVerb::kBind;
  call.thing = step->thing;
  account_ = std::to_string(options_.seed) + "-b" + std::to_string(step->thing);
  call.account = account_;
  ids_.push_back(population_.members[options_.part + step->thing * options_.parts]);
}

void CallMaker::DrawPair(LoadCall& call) {
  const auto step = pairs_.Next(call.verb == LoadVerb::kUnmerge);
  if (!step) {
    call.verb = LoadVerb::kGet;
    ids_.push_back(DrawMember());
    return;
  }
  call.verb = step->undoes ? LoadVerb::kUnmerge : LoadVerb::kMerge;
  call.thing = step->thing;
  const std::size_t first = asked_for_ + 2 * (options_.part + step->thing * options_.parts);
  ids_.push_back(population_.members[first]);
  ids_.push_back(population_.members[first + 1]);
}

void CallMaker::Settle(LoadVerb verb, std::uint32_t thing, const LoadAnswer& answer) {
  if (verb == LoadVerb::kBind || verb == LoadVerb::kUnbind) {
    accounts_.Settle({.thing = thing, .undoes = verb == LoadVerb::kUnbind}, OutcomeOf(answer));
  } else if (verb == LoadVerb::kMerge || verb == LoadVerb::kUnmerge) {
    pairs_.Settle({.thing = thing, .undoes = verb == LoadVerb::kUnmerge}, OutcomeOf(answer));
  }
}

}  // namespace muster
