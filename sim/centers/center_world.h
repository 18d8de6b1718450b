#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/random.h"
#include "base/timer.h"
#include "centers/planted_in_centers.h"
#include "scheduler.h"
#include "trace.h"

namespace muster::sim {

// Where something stands: a center, or the third place, which has a voter of etcd alone.
enum class Place : std::uint8_t { kEast, kWest, kWitness };
inline constexpr std::size_t kPlaces = 3;
std::string_view NameOf(Place place);

// What all of a run share: time, chance, and which places reach each other.
struct CenterWorld {
  CenterWorld(std::uint64_t seed, PlantedInCenters bug, bool with_events)
      : random(Mix64(seed)), planted(bug), trace(scheduler, with_events, 1000) {}
  CenterWorld(const CenterWorld&) = delete;

  Instant now() const { return Instant(scheduler.now()); }
  bool Chance(std::uint64_t in) { return random.Below(in) == 0; }
  Duration Between(std::int64_t low_ms, std::int64_t high_ms);
  // Of one message: mostly a millisecond or two, now and then much longer.
  Duration Travel();
  bool AreLinked(Place one, Place other) const { return one == other || !cuts[Index(one)][Index(other)]; }
  void Cut(Place one, Place other, bool is_cut);
  bool IsPlanted(PlantedInCenters bug) const { return planted == bug; }
  // The first thing that went wrong.
  void Fail(const std::string& what);

  static std::size_t Index(Place place) { return static_cast<std::size_t>(place); }

  Scheduler scheduler;
  SimulatedClock clock{scheduler, Duration(0)};
  SeededRandom random;
  const PlantedInCenters planted;
  Trace trace;
  bool is_rough = false;            // many faults; else what the plan says
  std::uint64_t slow_in = 60;       // in rough weather one of so many messages is slow,
  std::int64_t slow_ms_max = 1200;  // and takes so long at most
  std::int64_t rest_ms_max = 60;    // of a client between two calls
  bool is_healed = false;
  bool is_over = false;  // nothing begins any more
  std::array<std::array<bool, kPlaces>, kPlaces> cuts{};
  std::array<bool, kPlaces> runs = {true, true,
                                    true};  // a place without power, or that stands still, votes for nothing
  std::optional<std::string> failure = {};
};

// One life of a process: its loop and its timer. What a dead one was doing runs to its end without effect, since none
// of its messages leaves and none is heard of; one that stands still does everything later.
class ProcessLife final : public EventLoop, public Timer {
 public:
  explicit ProcessLife(CenterWorld& world) : world_(world) {}

  void Post(EventLoop::Work work) override { After(Duration(0), std::move(work)); }
  void Defer(EventLoop::Work work) override { After(Duration(0), std::move(work)); }
  void After(Duration delay, Timer::Work work) override;

  bool is_dead() const { return is_dead_; }
  bool is_frozen() const { return is_frozen_; }
  bool Acts() const { return !is_dead_ && !is_frozen_; }
  void Die();
  void Freeze(bool frozen);

 private:
  void RunBacklog();

  CenterWorld& world_;
  bool is_dead_ = false;
  bool is_frozen_ = false;
  std::vector<Timer::Work> backlog_;
};

}  // namespace muster::sim
