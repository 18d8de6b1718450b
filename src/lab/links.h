#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>

#include "base/clock.h"
#include "lab/layout.h"

namespace muster::lab {

// What befalls bytes on their way from one center to another.
struct LinkCondition {
  Duration delay{0};
  bool is_cut = false;                // nothing arrives; what is under way waits
  std::int64_t bytes_per_second = 0;  // 0: as fast as it goes
  friend bool operator==(const LinkCondition&, const LinkCondition&) = default;
};

// Of every pair of centers in each direction. Links within a center have no condition. Thread-safe.
class Links {
 public:
  using All = std::array<std::array<LinkCondition, kCenters.size()>, kCenters.size()>;

  static constexpr Duration kDelayMax = std::chrono::seconds(10);

  All Read() const {
    std::lock_guard lock(mutex_);
    return all_;
  }

  // `change` is applied to the link from `from` to `to`; whoever listens is told.
  void Change(Center from, Center to, const std::function<void(LinkCondition&)>& change);
  // Whole, and free of delays and bounds: those between these two, or all.
  void Heal(Center one, Center other);
  void HealAll();

  // Called after each change, without a lock. Once, before anything changes.
  void OnChange(std::function<void()> tell) { tell_ = std::move(tell); }

 private:
  mutable std::mutex mutex_;
  All all_{};  // guarded by mutex_
  std::function<void()> tell_ = [] {};
};

}  // namespace muster::lab
