#include "centers/centers_run.h"

#include <algorithm>
#include <utility>

#include "topology/testing/two_center_topology.h"

namespace muster::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kFaultsBegin = milliseconds(600);
constexpr Duration kHealAt = milliseconds(5500);
constexpr Duration kEndAt = seconds(16);
// What is promised when the center that writes is lost and nothing else goes wrong (docs/decisions/0023-failover.md);
// and when the other one is: its ackers go out of the set, and then the first write has its cache bypassed.
constexpr Duration kWritesAwayMax = seconds(3);
constexpr Duration kWritesAwayWithoutOtherMax = seconds(4);
// So that it shows that writes are back, also where clients are quiet.
constexpr std::int64_t kRestMsMaxAtEnd = 150;
constexpr std::uint64_t kEventsOfRunMax = 2'000'000;  // it never needs a tenth of it

TopologyDocument FirstTopology() {
  TopologyDocument document = testing::TwoDistantCenters(1);
  for (const std::string center : {"east", "west"}) {
    document.caches.push_back({.center = center, .epoch = Epoch(1), .mode = CacheMode::kOn});
  }
  return document;
}

}  // namespace

CentersRun::CentersRun(std::uint64_t seed, PlantedInCenters bug, bool with_events)
    : world_(seed, bug, with_events), checker_(world_), topology_(world_, FirstTopology()) {
  plan_ = world_.Chance(6) ? Plan::kOneCenterLost : Plan::kRough;
  world_.is_rough = plan_ == Plan::kRough;
  if (plan_ == Plan::kRough) DrawWeather();
  for (const Place place : {Place::kEast, Place::kWest}) {
    caches_.push_back(std::make_unique<RedisTwin>(world_, place));
    (void)caches_.back()->BeginEpoch(Epoch(1));
  }
  Populate();
  topology_.on_change = [this](const TopologyDocument& before) {
    checker_.TopologyChanged(before, *topology_.document());
    for (const auto& slot : slots_) {
      if (slot->server && !world_.Chance(4)) slot->server->HearOfTopology();
    }
  };
  for (const auto& [name, place] : {std::pair("se1", Place::kEast), std::pair("se2", Place::kEast),
                                    std::pair("sw1", Place::kWest), std::pair("sw2", Place::kWest)}) {
    slots_.push_back(std::make_unique<Slot>(Slot{.name = name, .place = place}));
    StartServer(*slots_.back());
  }
}

void CentersRun::DrawWeather() {
  static constexpr std::int64_t kRestsMsMax[] = {200, 600, 1500};
  world_.rest_ms_max = kRestsMsMax[world_.random.Below(3)];
  if (!world_.Chance(4)) return;
  world_.slow_in = 10;
  world_.slow_ms_max = 2200;
}

// Few members and few identities, so that everybody is in everybody's way.
void CentersRun::Populate() {
  GroupCommit first{.fence = topology_.document()->epoch};
  for (std::uint8_t i = 0; i < 3; ++i) {
    Identity identity;
    identity.kind = "account";
    identity.platform = "app";
    world_.random.Fill(identity.key.bytes);
    identity.key.bytes[15] = i;
    identity.bound_by = OperationId(1 + i);
    identities_.push_back(identity);
  }
  const std::uint64_t members = 2 + world_.random.Below(5);
  for (std::uint8_t i = 0; i < members; ++i) {
    Member member;
    member.id = MemberId(100 + i);
    member.display_name = "first";
    member.created_by = OperationId(1 + i);
    member.create_time = member.update_time = world_.clock.Now() - seconds(3600);
    if (i < 2) {
      member.identities.push_back(identities_[i]);
      first.lookups.emplace_back(identities_[i].key, LookupRow{member.id, OperationId(1 + i)});
    }
    members_.push_back(member.id);
    first.members.push_back(std::move(member));
  }
  group_ = std::make_unique<ReplicatedGroup>(world_, topology_, checker_, first);
  stage_ = std::make_unique<CenterStage>(CenterStage{.world = world_,
                                                     .topology = topology_,
                                                     .group = *group_,
                                                     .checker = checker_,
                                                     .caches = {caches_[0].get(), caches_[1].get()},
                                                     .members = members_,
                                                     .identities = identities_});
}

void CentersRun::StartServer(Slot& slot) {
  if (slot.server || !world_.runs[CenterWorld::Index(slot.place)]) return;
  slot.server = std::make_unique<CenterServer>(*stage_, slot.name, slot.place);
  slot.server->Start();
  for (int i = 0; i < 2; ++i) {
    slot.clients.push_back(std::make_unique<CenterClient>(*stage_, *slot.server));
    slot.clients.back()->Start();
  }
}

void CentersRun::EndServer(Slot& slot) {
  if (!slot.server) return;
  world_.trace([&] { return "kill server " + slot.name; });
  slot.server->life().Die();
  dead_.push_back(std::move(slot.server));
  for (auto& client : slot.clients) dead_clients_.push_back(std::move(client));
  slot.clients.clear();
}

void CentersRun::RestartServer(Slot& slot, Duration pause) {
  EndServer(slot);
  world_.scheduler.After(pause, [this, &slot] {
    if (!world_.is_over) StartServer(slot);
  });
}

void CentersRun::KillPlace(Place place) {
  world_.trace([&] { return "kill center " + std::string(NameOf(place)); });
  world_.runs[CenterWorld::Index(place)] = false;
  for (const std::string& name : group_->names()) {
    if (group_->PlaceOf(name) == place) group_->Kill(name);
  }
  for (const auto& slot : slots_) {
    if (slot->place == place) EndServer(*slot);
  }
  RedisOf(place).Kill();
  // The voter that is gone may have led the others.
  if (world_.Chance(2)) topology_.BeAway(world_.Between(0, 1000));
}

void CentersRun::StartPlace(Place place) {
  if (world_.runs[CenterWorld::Index(place)]) return;
  world_.trace([&] { return "start center " + std::string(NameOf(place)); });
  world_.runs[CenterWorld::Index(place)] = true;
  RedisOf(place).Start();
  for (const std::string& name : group_->names()) {
    if (group_->PlaceOf(name) == place) group_->Start(name);
  }
  for (const auto& slot : slots_) {
    if (slot->place == place) StartServer(*slot);
  }
}

void CentersRun::FreezePlace(Place place, bool is_frozen) {
  if (is_place_frozen_[CenterWorld::Index(place)] == is_frozen) return;
  is_place_frozen_[CenterWorld::Index(place)] = is_frozen;
  world_.trace([&] { return (is_frozen ? "freeze center " : "thaw center ") + std::string(NameOf(place)); });
  world_.runs[CenterWorld::Index(place)] = !is_frozen;
  for (const std::string& name : group_->names()) {
    if (group_->PlaceOf(name) == place) group_->Freeze(name, is_frozen);
  }
  for (const auto& slot : slots_) {
    if (slot->place == place && slot->server) slot->server->life().Freeze(is_frozen);
  }
  RedisOf(place).Freeze(is_frozen);
  if (is_frozen && world_.Chance(2)) topology_.BeAway(world_.Between(0, 1000));
}

// Everything works from now on.
void CentersRun::Heal() {
  world_.trace([] { return std::string("heal"); });
  world_.is_healed = true;
  world_.cuts = {};
  for (const Place place : {Place::kEast, Place::kWest}) {
    FreezePlace(place, false);
    StartPlace(place);
    RedisOf(place).Freeze(false);
    RedisOf(place).Start();
  }
  group_->Heal();
  for (const auto& slot : slots_) {
    if (slot->server) slot->server->life().Freeze(false);
    StartServer(*slot);
  }
}

void CentersRun::Operate() {
  if (world_.is_over) return;
  group_->Mend();
  world_.scheduler.After(milliseconds(500), [this] { Operate(); });
}

CentersResult CentersRun::Run() {
  Operate();
  if (plan_ == Plan::kOneCenterLost) {
    const Place lost = world_.Chance(4) ? Place::kWest : Place::kEast;
    world_.scheduler.After(world_.Between(1500, 2500),
                           [this, lost] { world_.Chance(2) ? KillPlace(lost) : FreezePlace(lost, true); });
  } else {
    world_.scheduler.After(kFaultsBegin, [this] { Misfortune(); });
  }
  world_.scheduler.After(kHealAt, [this] { Heal(); });
  world_.scheduler.After(kEndAt - seconds(2), [this] { world_.rest_ms_max = kRestMsMaxAtEnd; });
  world_.scheduler.After(kEndAt, [this] {
    CheckEnd();
    world_.is_over = true;
    // What is under way ends, without effect.
    for (const auto& slot : slots_) EndServer(*slot);
  });
  CentersResult result;
  while (world_.scheduler.RunNext()) {
    if (++result.events_run > kEventsOfRunMax) world_.Fail("the simulation does not come to an end");
    if (world_.failure && !world_.is_over) {
      world_.is_over = true;
      for (const auto& slot : slots_) EndServer(*slot);
    }
    if (result.events_run > 2 * kEventsOfRunMax) break;
  }
  result.failure = world_.failure;
  result.events = world_.trace.lines();
  result.acknowledged = checker_.acknowledged();
  result.reads = checker_.reads();
  result.failovers = checker_.failovers();
  result.answers = checker_.answers();
  if (plan_ == Plan::kOneCenterLost && lost_ == Place::kEast) result.pause = checker_.longest_pause();
  return result;
}

void CentersRun::CheckEnd() {
  const TopologyDocument& document = *topology_.document();
  const Duration away_max = lost_ == Place::kEast ? kWritesAwayMax : kWritesAwayWithoutOtherMax;
  if (plan_ == Plan::kOneCenterLost && checker_.longest_pause() > away_max) {
    return world_.Fail("AWAY: nothing was acknowledged for " + std::to_string(checker_.longest_pause().count() / 1000) +
                       " ms, when nothing but a center was lost");
  }
  if (document.failover || document.writer.empty()) return world_.Fail("AWAY: a failover is still under way");
  if (world_.now() - checker_.acknowledged_at() > seconds(1)) {
    return world_.Fail("AWAY: nothing is acknowledged though everything works");
  }
  const GroupRecord& group = document.groups[0];
  if (group.durability != Durability::kBothCenters) return world_.Fail("AWAY: the group is still degraded");
  const auto& primary = group_->Get(group.primary);
  checker_.CheckLog(group.primary, primary.log);
  for (const std::string& name : group_->names()) {
    const auto& replica = group_->Get(name);
    if (name == group.primary) continue;
    if (replica.following != group.primary) {
      return world_.Fail("PROJECTION: " + name + " does not follow " + group.primary);
    }
    const std::size_t common = std::min(replica.applied, primary.log.size());
    // What is written just now is on its way.
    const bool is_one =
        std::equal(replica.log.begin(), replica.log.begin() + static_cast<std::ptrdiff_t>(common), primary.log.begin());
    if (!is_one || replica.applied + 8 < primary.log.size()) {
      return world_.Fail("PROJECTION: " + name + " does not have what " + group.primary + " has");
    }
  }
  CheckCaches();
}

// Caches are in use again, and what they have is what is so: floors see to it that it is not older, and nothing newer
// than what the primary shows is ever told.
void CentersRun::CheckCaches() {
  const TopologyDocument& document = *topology_.document();
  const GroupRows& truth = group_->Visible(document.groups[0].primary);
  for (const auto& redis : caches_) {
    const CacheRecord* const record = document.FindCache(NameOf(redis->place()));
    if (record->mode != CacheMode::kOn) {
      return world_.Fail("AWAY: the cache of " + record->center + " is still out of use");
    }
    for (const auto& [key, value] : redis->values()) {
      if (key.first != record->epoch) continue;
      const CacheSubject& subject = key.second;
      if (subject.is_identity) continue;  // hints: confirmed by the members' entries
      const auto member = truth.members.find(subject.id);
      const bool is_so = member == truth.members.end()
                             ? !value.member
                             : value.member && MakeMemberDocument(member->second)->json() == value.member->json();
      // One that is committed just now is about to be told.
      const bool is_on_its_way =
          member != truth.members.end() && world_.clock.Now() - member->second.update_time < seconds(1);
      if (is_so || is_on_its_way) continue;
      return world_.Fail("PROJECTION: the cache of " + record->center + " has version " +
                         std::to_string(value.version.value()) + " of member " + std::to_string(subject.id.value()) +
                         ", which is not what is so");
    }
  }
}

CentersResult RunCenters(std::uint64_t seed, PlantedInCenters bug, bool with_events) {
  return CentersRun(seed, bug, with_events).Run();
}

}  // namespace muster::sim
