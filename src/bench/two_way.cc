#include "bench/two_way.h"

namespace muster {

TwoWay::TwoWay(std::size_t count) : refusals_(count, 0) {
  for (std::size_t thing = 0; thing < count; ++thing) open_.push_back(static_cast<std::uint32_t>(thing));
}

std::optional<TwoWay::Step> TwoWay::Next(bool undoes) {
  if ((undoes ? done_ : open_).empty()) undoes = !undoes;
  std::deque<std::uint32_t>& from = undoes ? done_ : open_;
  if (from.empty()) return std::nullopt;
  const Step step{.thing = from.front(), .undoes = undoes};
  from.pop_front();
  return step;
}

void TwoWay::Settle(const Step& step, Outcome outcome) {
  if (outcome == Outcome::kUnknown) return;
  const bool is_refused = outcome == Outcome::kRefused;
  std::uint8_t& refusals = refusals_[step.thing];
  refusals = is_refused ? refusals + 1 : 0;
  if (refusals == kRefusalsMax) return;
  (step.undoes == is_refused ? done_ : open_).push_back(step.thing);
}

}  // namespace muster
