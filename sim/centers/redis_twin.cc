#include "centers/redis_twin.h"

#include <algorithm>

namespace muster::sim {

RedisTwin::RedisTwin(CenterWorld& world, Place place) : world_(world), place_(place), process_(world.random.Next()) {}

// A client believes only the process that the marker names, and the process only the marker that it has.
bool RedisTwin::Has(const CacheMarker& marker) const {
  if (world_.IsPlanted(PlantedInCenters::kTrustRestarted)) return data_.marker && data_.marker->epoch == marker.epoch;
  return data_.marker == marker && process_ == marker.process;
}

RedisTwin::Missed RedisTwin::Get(const CacheMarker& marker, const CacheSubject& subject, std::uint64_t token,
                                 Duration lease) {
  if (!Has(marker)) return {};
  const auto key = std::pair(marker.epoch, subject);
  if (const auto value = data_.values.find(key); value != data_.values.end()) {
    return {.kind = Miss::kValue, .value = value->second};
  }
  const auto floor = data_.floors.find(subject);
  Missed missed{.kind = Miss::kNone, .floor = floor == data_.floors.end() ? Version(0) : floor->second};
  Lease& known = data_.leases[key];
  if (known.until > world_.now()) return missed;
  known = {.token = token, .until = world_.now() + lease};
  missed.is_leased = true;
  return missed;
}

void RedisTwin::Fill(const CacheMarker& marker, const CacheSubject& subject, std::uint64_t token, CacheValue value) {
  if (!Has(marker)) return;
  const auto key = std::pair(marker.epoch, subject);
  if (!world_.IsPlanted(PlantedInCenters::kFillUnchecked)) {
    const auto lease = data_.leases.find(key);
    if (lease == data_.leases.end() || lease->second.token != token || lease->second.until <= world_.now()) return;
    data_.leases.erase(lease);
    const auto floor = data_.floors.find(subject);
    if (floor != data_.floors.end() && value.version < floor->second) return;
    const auto known = data_.values.find(key);
    if (known != data_.values.end() && value.version < known->second.version) return;
  }
  data_.values.insert_or_assign(key, std::move(value));
}

bool RedisTwin::Invalidate(const CacheMarker& marker, const std::vector<std::pair<CacheSubject, Version>>& entries) {
  if (!Has(marker)) return false;
  for (const auto& [subject, version] : entries) {
    Version& floor = data_.floors[subject];
    floor = std::max(floor, version);
    const auto key = std::pair(marker.epoch, subject);
    const auto known = data_.values.find(key);
    if (known != data_.values.end() && (subject.is_identity || known->second.version < version)) {
      data_.values.erase(known);
    }
    data_.leases.erase(key);
  }
  return true;
}

RedisTwin::Begun RedisTwin::BeginEpoch(Epoch epoch) {
  const CacheMarker wanted{.epoch = epoch, .process = process_};
  if (data_.marker == wanted) return Begun::kBefore;
  if (data_.marker && data_.marker->epoch >= epoch) return Begun::kRefused;
  data_.floors.clear();
  data_.marker = wanted;
  return Begun::kNow;
}

void RedisTwin::Restart(bool with_older_copy) {
  world_.trace([&] {
    return "redis of " + std::string(NameOf(place_)) + " restarts " +
           (with_older_copy ? "with an older copy" : "empty");
  });
  data_ = with_older_copy ? copy_ : Data();
  process_ = world_.random.Next();
}

void RedisTwin::Flush() {
  world_.trace([&] { return "redis of " + std::string(NameOf(place_)) + " is flushed"; });
  data_ = {};
}

// What has a time to live may go: values and leases.
void RedisTwin::Evict() {
  std::erase_if(data_.values, [&](const auto&) { return world_.Chance(2); });
  std::erase_if(data_.leases, [&](const auto&) { return world_.Chance(4); });
}

void RedisTwin::Kill() {
  world_.trace([&] { return "kill the redis of " + std::string(NameOf(place_)); });
  runs_ = is_frozen_ = false;
}

void RedisTwin::Start() {
  if (runs_) return;
  runs_ = true;
  Restart(world_.Chance(2));
}

void RedisTwin::Freeze(bool is_frozen) {
  world_.trace(
      [&] { return std::string(is_frozen ? "freeze" : "thaw") + " the redis of " + std::string(NameOf(place_)); });
  is_frozen_ = is_frozen && runs_;
  frozen_since_ = world_.now();
}

void RedisTwin::KeepCopy() { copy_ = data_; }

}  // namespace muster::sim
