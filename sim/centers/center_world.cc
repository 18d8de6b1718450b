#include "centers/center_world.h"

namespace muster::sim {

std::string_view NameOf(Place place) {
  static constexpr std::array<std::string_view, kPlaces> kNames = {"east", "west", "witness"};
  return kNames[CenterWorld::Index(place)];
}

Duration CenterWorld::Between(std::int64_t low_ms, std::int64_t high_ms) {
  return std::chrono::milliseconds(low_ms) +
         Duration(random.Below(static_cast<std::uint64_t>((high_ms - low_ms) * 1000 + 1)));
}

Duration CenterWorld::Travel() {
  if (is_rough && !is_healed && Chance(slow_in)) return Between(5, slow_ms_max);
  return Duration(200 + random.Below(1500));
}

void CenterWorld::Cut(Place one, Place other, bool is_cut) {
  trace([&] {
    return std::string(is_cut ? "cut " : "join ") + std::string(NameOf(one)) + " and " + std::string(NameOf(other));
  });
  cuts[Index(one)][Index(other)] = cuts[Index(other)][Index(one)] = is_cut;
}

void CenterWorld::Fail(const std::string& what) {
  trace([&] { return "VIOLATION " + what; });
  if (!failure) failure = what;
}

void ProcessLife::After(Duration delay, Timer::Work work) {
  world_.scheduler.After(delay, [this, work = std::move(work)]() mutable {
    if (is_frozen_) {
      backlog_.push_back(std::move(work));
    } else {
      work();
    }
  });
}

void ProcessLife::Die() {
  is_dead_ = true;
  if (is_frozen_) Freeze(false);
}

void ProcessLife::Freeze(bool frozen) {
  is_frozen_ = frozen;
  if (!frozen) RunBacklog();
}

void ProcessLife::RunBacklog() {
  for (auto& work : std::exchange(backlog_, {})) world_.scheduler.After(Duration(0), std::move(work));
}

}  // namespace muster::sim
