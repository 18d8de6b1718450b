#include "store/change_positions.h"

#include <algorithm>

namespace muster {

ChangePositions::ChangePositions(std::size_t files, std::int64_t last, std::int64_t before_earliest)
    : last_(last), before_earliest_(before_earliest), first_under_way_(files, kNone) {}

// Announced before any is taken: what is taken meanwhile by others makes it too low, which only holds readers up.
void ChangePositions::Begin(std::size_t file) {
  const std::lock_guard lock(groups_mutex_);
  first_under_way_[file] = last_.load() + 1;
}

void ChangePositions::End(std::size_t file, std::int64_t committed) {
  const std::lock_guard lock(groups_mutex_);
  if (first_under_way_.size() == 1) last_.store(committed);
  first_under_way_[file] = kNone;
}

// The last position counts only together with who may have taken it: one that was given back is taken again.
std::int64_t ChangePositions::Readable() const {
  const std::lock_guard lock(groups_mutex_);
  std::int64_t readable = last_.load();
  for (const std::int64_t first : first_under_way_) readable = std::min(readable, first - 1);
  return readable;
}

void ChangePositions::Expire(std::int64_t position) {
  std::int64_t known = before_earliest_.load();
  while (known < position && !before_earliest_.compare_exchange_weak(known, position)) {
  }
}

}  // namespace muster
