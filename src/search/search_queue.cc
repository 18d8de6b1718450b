#include "search/search_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace muster {

std::optional<WaitingSearch> SearchQueue::Push(WaitingSearch search) {
  std::optional<WaitingSearch> displaced;
  bool comes_first = false;
  {
    std::lock_guard lock(mutex_);
    if (is_closed_) return search;
    if (deadlines_.size() >= capacity_) {
      const auto own = line_of_.find(search.query.caller);
      const std::size_t own_size = own == line_of_.end() ? 0 : own->second->waiting.size();
      const auto longest = std::ranges::max_element(lines_, {}, [](const Line& line) { return line.waiting.size(); });
      // One more of its own must not be more than what makes room has then.
      if (longest == lines_.end() || longest->waiting.size() <= own_size + 1) return search;
      displaced = Take({longest, std::prev(longest->waiting.end())});
    }
    const Instant at = search.query.deadline.at();
    const auto line = LineOf(search.query.caller);
    line->waiting.push_back({.search = std::move(search), .deadline = {}});
    const auto waiting = std::prev(line->waiting.end());
    waiting->deadline = deadlines_.emplace(at, Place{line, waiting});
    comes_first = waiting->deadline == deadlines_.begin();
  }
  arrived_.notify_one();
  if (comes_first) sooner_.notify_one();
  return displaced;
}

std::optional<WaitingSearch> SearchQueue::Pop() {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [this] { return !lines_.empty() || is_closed_; });
  if (lines_.empty()) return std::nullopt;
  const auto line = lines_.begin();
  // To the end of the lines first: taking its last search takes the line away.
  lines_.splice(lines_.end(), lines_, line);
  return Take({line, line->waiting.begin()});
}

std::optional<WaitingSearch> SearchQueue::PopLate() {
  std::unique_lock lock(mutex_);
  while (!is_closed_) {
    if (deadlines_.empty() || deadlines_.begin()->first == Instant::max()) {
      sooner_.wait(lock);
      continue;
    }
    const Duration left = deadlines_.begin()->first - clock_.Monotonic();
    if (left <= Duration(0)) return Take(deadlines_.begin()->second);
    sooner_.wait_for(lock, left);
  }
  return std::nullopt;
}

void SearchQueue::Close() {
  {
    std::lock_guard lock(mutex_);
    is_closed_ = true;
  }
  arrived_.notify_all();
  sooner_.notify_all();
}

SearchQueue::Lines::iterator SearchQueue::LineOf(const std::string& caller) {
  const auto [known, is_new] = line_of_.try_emplace(caller);
  if (is_new) known->second = lines_.insert(lines_.end(), {.caller = caller, .waiting = {}});
  return known->second;
}

WaitingSearch SearchQueue::Take(Place place) {
  WaitingSearch search = std::move(place.waiting->search);
  deadlines_.erase(place.waiting->deadline);
  place.line->waiting.erase(place.waiting);
  if (place.line->waiting.empty()) {
    line_of_.erase(place.line->caller);
    lines_.erase(place.line);
  }
  return search;
}

}  // namespace muster
