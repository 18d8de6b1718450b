#include "lab/links.h"

namespace muster::lab {

void Links::Change(Center from, Center to, const std::function<void(LinkCondition&)>& change) {
  if (from == to) return;
  {
    std::lock_guard lock(mutex_);
    change(all_[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)]);
  }
  tell_();
}

void Links::Heal(Center one, Center other) {
  const auto heal = [](LinkCondition& link) { link = {}; };
  Change(one, other, heal);
  Change(other, one, heal);
}

void Links::HealAll() {
  {
    std::lock_guard lock(mutex_);
    all_ = {};
  }
  tell_();
}

}  // namespace muster::lab
