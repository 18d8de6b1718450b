#include "store/change_positions.h"

#include <algorithm>
#include <utility>

namespace muster {

class ChangePositions::Registration final : public ChangeFeed::Subscription {
 public:
  Registration(ChangePositions& positions, Wakes::iterator place) : positions_(positions), place_(place) {}
  ~Registration() override {
    std::lock_guard lock(positions_.mutex_);
    positions_.wakes_.erase(place_);
    positions_.subscribers_.store(positions_.wakes_.size());
  }

 private:
  ChangePositions& positions_;
  const Wakes::iterator place_;
};

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

void ChangePositions::Notify() {
  if (subscribers_.load() == 0) return;
  std::lock_guard lock(mutex_);
  for (auto& wake : wakes_) wake();
}

std::unique_ptr<ChangeFeed::Subscription> ChangePositions::Subscribe(std::move_only_function<void()> wake) {
  std::lock_guard lock(mutex_);
  wakes_.push_back(std::move(wake));
  subscribers_.store(wakes_.size());
  return std::make_unique<Registration>(*this, std::prev(wakes_.end()));
}

}  // namespace muster
