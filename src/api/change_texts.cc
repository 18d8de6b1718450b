#include "api/change_texts.h"

#include <algorithm>

#include "base/check.h"

namespace muster {

ChangeTexts::Run ChangeTexts::Write(std::span<const ChangeEvent> events) {
  MUSTER_CHECK(!events.empty() && events.size() <= kEventsMax);
  // What is at a position stays, and nothing comes between: the first and the number tell which events they are.
  const auto found = std::ranges::lower_bound(positions_, events.front().position);
  const auto first = static_cast<std::size_t>(found - positions_.begin());
  const bool is_written = found != positions_.end() && *found == events.front().position &&
                          positions_.size() - first >= events.size() &&
                          positions_[first + events.size() - 1] == events.back().position;
  if (is_written) return {text_, std::span(ends_).subspan(first, events.size() + 1)};
  positions_.clear();
  ends_.assign(1, 0);
  text_.clear();
  for (const ChangeEvent& event : events) {
    append_(text_, event);
    positions_.push_back(event.position);
    ends_.push_back(text_.size());
  }
  return {text_, ends_};
}

}  // namespace muster
