// What goes wrong in a rough run, and for how long.

#include <utility>

#include "centers/centers_run.h"

namespace muster::sim {

void CentersRun::Misfortune() {
  if (world_.is_healed || world_.is_over) return;
  world_.scheduler.After(world_.Between(100, 900), [this] { Misfortune(); });
  const Duration lasting = world_.Chance(4) ? world_.Between(2000, 4500) : world_.Between(50, 2500);
  switch (world_.random.Below(8)) {
    case 0:
    case 1:
      return MisfortuneOfPlaces(lasting);
    case 2:
    case 3:
    case 4:
      return MisfortuneOfDatabases(lasting);
    case 5:
    case 6:
      return MisfortuneOfCaches(lasting);
    default:
      return MisfortuneOfServers(lasting);
  }
}

void CentersRun::MisfortuneOfPlaces(Duration lasting) {
  const Place place = world_.Chance(2) ? Place::kEast : Place::kWest;
  const bool all_run = world_.runs[0] && world_.runs[1];
  switch (world_.random.Below(5)) {
    case 0:
      if (!all_run) return;
      KillPlace(place);
      return world_.scheduler.After(lasting, [this, place] { StartPlace(place); });
    case 1:
      if (!all_run) return;
      FreezePlace(place, true);
      return world_.scheduler.After(lasting, [this, place] { FreezePlace(place, false); });
    case 2:
    case 3: {
      const Place other = world_.Chance(2) ? Place::kWitness : place == Place::kEast ? Place::kWest : Place::kEast;
      world_.Cut(place, other, true);
      if (world_.Chance(4)) topology_.BeAway(world_.Between(0, 1000));
      return world_.scheduler.After(lasting, [this, place, other] { world_.Cut(place, other, false); });
    }
    default:
      for (const auto& slot : slots_) {
        if (slot->server && slot->server->is_open() && slot->server->PlanSwitchover(std::string(NameOf(place)))) return;
      }
  }
}

void CentersRun::MisfortuneOfDatabases(Duration lasting) {
  const std::string name = group_->names()[world_.random.Below(group_->names().size())];
  switch (world_.random.Below(5)) {
    case 0:
      group_->Kill(name);
      return world_.scheduler.After(lasting, [this, name] { group_->Start(name); });
    case 1:
      group_->Freeze(name, true);
      return world_.scheduler.After(lasting, [this, name] {
        if (!is_place_frozen_[CenterWorld::Index(group_->PlaceOf(name))]) group_->Freeze(name, false);
      });
    case 2:
    case 3:
      group_->Hide(name, true);
      return world_.scheduler.After(lasting, [this, name] { group_->Hide(name, false); });
    default:
      group_->Slow(name, true);
      return world_.scheduler.After(lasting, [this, name] { group_->Slow(name, false); });
  }
}

void CentersRun::MisfortuneOfCaches(Duration lasting) {
  const Place place = world_.Chance(2) ? Place::kEast : Place::kWest;
  RedisTwin& redis = RedisOf(place);
  if (!world_.runs[CenterWorld::Index(place)]) return;
  switch (world_.random.Below(7)) {
    case 0:
      redis.Kill();
      return world_.scheduler.After(lasting, [this, place] {
        if (world_.runs[CenterWorld::Index(place)]) RedisOf(place).Start();
      });
    case 1:
      redis.Freeze(true);
      return world_.scheduler.After(lasting, [this, place] {
        if (world_.runs[CenterWorld::Index(place)]) RedisOf(place).Freeze(false);
      });
    case 2:
      return redis.Flush();
    case 3:
      redis.KeepCopy();
      return world_.scheduler.After(lasting / 4, [this, place] {
        if (RedisOf(place).Answers()) RedisOf(place).Restart(true);
      });
    case 4:
      return redis.Restart(false);
    default:
      return redis.Evict();
  }
}

void CentersRun::MisfortuneOfServers(Duration lasting) {
  Slot& slot = *slots_[world_.random.Below(slots_.size())];
  if (!slot.server) return;
  if (world_.Chance(2)) return RestartServer(slot, lasting / 4);
  slot.server->life().Freeze(true);
  CenterServer* const frozen = slot.server.get();
  world_.scheduler.After(lasting, [this, frozen] {
    if (!is_place_frozen_[CenterWorld::Index(frozen->place())]) frozen->life().Freeze(false);
  });
}

}  // namespace muster::sim
