#include "topology/topology_rules.h"

#include <algorithm>

#include "topology/shard_map.h"

namespace muster {
namespace {

std::string_view CenterOfPrimary(const GroupRecord& group) {
  const DatabaseRecord* const primary = group.Find(group.primary);
  return primary == nullptr ? std::string_view() : std::string_view(primary->center);
}

// Whether somebody who may write under `before` may not under `after`.
bool TakesWriting(const TopologyDocument& before, const TopologyDocument& after) {
  return before.centers.empty() ? !after.centers.empty() : !before.writer.empty() && before.writer != after.writer;
}

std::string BrokenByWriter(const TopologyDocument& before, const TopologyDocument& after) {
  if (after.epoch < before.epoch || (after.epoch == before.epoch && TakesWriting(before, after))) {
    return "a change took the right to write from somebody without raising the epoch";
  }
  if (after.writer.empty()) return {};
  if (std::string fault = FaultOfWriter(after); !fault.empty()) return fault;
  const bool moves = !before.writer.empty() && before.writer != after.writer;
  if (moves && !before.groups.empty()) return "with databases the right to write moves through a failover only";
  return {};
}

std::string BrokenByAckers(const GroupRecord& before, const GroupRecord& after) {
  if (before.primary != after.primary)
    return "group \"" + before.name + "\" gets a new primary through a failover only";
  const std::string of_group = " of group \"" + before.name + "\" ";
  const bool is_exact = before.durability == Durability::kBothCenters && after.durability == Durability::kBothCenters;
  for (const AckerRecord& acker : before.ackers) {
    const AckerRecord* const still = after.FindAcker(acker.name);
    if (still == nullptr && acker.state != AckerState::kLeaving && is_exact) {
      return "acker \"" + acker.name + "\"" + of_group + "goes before it was \"leaving\"";
    }
    if (still != nullptr && still->state < acker.state) {
      return "acker \"" + acker.name + "\"" + of_group + "goes back from \"" + std::string(NameOf(acker.state)) + "\"";
    }
  }
  for (const AckerRecord& acker : after.ackers) {
    if (before.FindAcker(acker.name) == nullptr && acker.state != AckerState::kJoining) {
      return "acker \"" + acker.name + "\"" + of_group + "does not begin as \"joining\"";
    }
  }
  if (before.durability == Durability::kDegraded && after.durability == Durability::kBothCenters &&
      std::ranges::count(after.ackers, AckerState::kIn, &AckerRecord::state) == 0) {
    return "without an acker that is \"in\" the durability" + of_group + "is \"degraded\"";
  }
  return {};
}

std::string BrokenByBegin(const TopologyDocument& before, const TopologyDocument& after) {
  const FailoverJournal& journal = *after.failover;
  if (after.epoch <= before.epoch) return "a failover begins with a higher epoch";
  if (!before.writer.empty() && journal.from != before.writer) return "a failover is from the center that writes";
  if (journal.begin_revision != after.revision) return "a failover names the revision that begins it";
  if (journal.leases_ended) return "leases have not ended when a failover begins";
  if (journal.accepts_loss && !journal.by_operator) return "only an operator accepts a loss";
  for (const GroupProgress& progress : journal.groups) {
    if (progress.step != GroupStep::kFenced) return "a failover begins with all groups \"fenced\"";
    const GroupRecord* const then = before.FindGroup(progress.group);
    const GroupRecord* const now = after.FindGroup(progress.group);
    if (then == nullptr || now == nullptr) return "a failover has the groups that there are";
    if (journal.accepts_loss) continue;
    if (then->durability == Durability::kDegraded && journal.kind == FailoverKind::kLoss) {
      return "group \"" + then->name + "\" is degraded, so that only an operator, who accepts a loss, fails it over";
    }
    if (*then != *now) return "a failover begins with each group as it is";
  }
  return {};
}

std::string BrokenByStep(const GroupProgress& before, const GroupProgress& after, const FailoverJournal& journal) {
  if (after.step < before.step) return "a step of the failover of group \"" + before.group + "\" is taken back";
  const bool was_chosen = before.step != GroupStep::kFenced;
  if (was_chosen && (after.chosen != before.chosen || after.position != before.position)) {
    return "group \"" + before.group + "\" has chosen \"" + before.chosen + "\" already, and may have promoted it";
  }
  if (after.step == GroupStep::kPromoted && before.step == GroupStep::kFenced) {
    return "group \"" + before.group + "\" promotes before it is written down what";
  }
  if (after.step == GroupStep::kPromoted && !journal.leases_ended) {
    return "group \"" + before.group + "\" is promoted before the leases of the last writer have ended";
  }
  return {};
}

std::string BrokenByProgress(const TopologyDocument& before, const TopologyDocument& after) {
  const FailoverJournal& then = *before.failover;
  const FailoverJournal& now = *after.failover;
  if (after.epoch != before.epoch || then.kind != now.kind || then.from != now.from || then.to != now.to ||
      then.begin_time != now.begin_time || then.begin_revision != now.begin_revision ||
      then.groups.size() != now.groups.size()) {
    return "another failover is under way";
  }
  if (then.leases_ended && !now.leases_ended) return "leases that have ended do not come back";
  const bool gives_up = now.accepts_loss && !then.accepts_loss;
  if ((then.accepts_loss && !now.accepts_loss) || (gives_up && !now.by_operator))
    return "only an operator accepts a loss";
  for (std::size_t i = 0; i < then.groups.size(); ++i) {
    if (then.groups[i].group != now.groups[i].group) return "another failover is under way";
    if (std::string broken = BrokenByStep(then.groups[i], now.groups[i], then); !broken.empty()) return broken;
    const GroupRecord* const group = before.FindGroup(then.groups[i].group);
    const GroupRecord* const next = after.FindGroup(then.groups[i].group);
    if (group == nullptr || next == nullptr) return "a failover keeps the groups that there are";
    const bool promotes = then.groups[i].step != now.groups[i].step && now.groups[i].step == GroupStep::kPromoted;
    if (promotes && next->primary != now.groups[i].chosen) return "the chosen database becomes the primary";
    if (!promotes && !gives_up && *group != *next && now.groups[i].step != GroupStep::kPromoted) {
      return "group \"" + group->name + "\" stays as it is until its database is promoted";
    }
  }
  return {};
}

std::string BrokenByEnd(const TopologyDocument& before, const TopologyDocument& after) {
  const FailoverJournal& journal = *before.failover;
  if (after.failovers.empty() || after.failovers.back().begin_time != journal.begin_time) {
    return "a failover that ends is remembered";
  }
  if (after.failovers.back().undone) {
    // Of a planned one everything that was acknowledged is in the last primary.
    const GroupStep last = journal.kind == FailoverKind::kPlanned ? GroupStep::kChosen : GroupStep::kFenced;
    const bool went_on =
        std::ranges::any_of(journal.groups, [&](const GroupProgress& group) { return group.step > last; });
    if (went_on) return "a failover that has chosen a database can only go on";
    if (after.epoch <= before.epoch || after.writer != journal.from)
      return "undone means a new epoch for the last writer";
    return {};
  }
  if (after.epoch != before.epoch || after.writer != journal.to)
    return "a failover gives the right to write to its center";
  for (const GroupProgress& group : journal.groups) {
    if (group.step != GroupStep::kPromoted) return "group \"" + group.group + "\" has no new primary yet";
  }
  return {};
}

std::string BrokenByUpkeep(const TopologyDocument& before, const TopologyDocument& after) {
  for (const GroupRecord& group : before.groups) {
    const GroupRecord* const next = after.FindGroup(group.name);
    if (next == nullptr) continue;
    if (std::string broken = BrokenByAckers(group, *next); !broken.empty()) return broken;
  }
  return {};
}

std::string BrokenByCaches(const TopologyDocument& before, const TopologyDocument& after) {
  for (const CacheRecord& cache : before.caches) {
    const CacheRecord* const next = after.FindCache(cache.center);
    const std::string of_center = " of center \"" + cache.center + "\"";
    if (next == nullptr) return "the cache" + of_center + " is forgotten: processes may still use it; bypass it";
    if (*next == cache) continue;
    const bool goes_on =
        cache.mode == CacheMode::kWarming && next->mode == CacheMode::kOn && next->epoch == cache.epoch;
    const bool begins = next->mode != CacheMode::kOn && next->epoch > cache.epoch;
    if (!goes_on && !begins) {
      return "the cache" + of_center + " does not go from " + std::string(NameOf(cache.mode)) + " in epoch " +
             std::to_string(cache.epoch.value()) + " to " + std::string(NameOf(next->mode)) + " in epoch " +
             std::to_string(next->epoch.value());
    }
  }
  for (const CacheRecord& cache : after.caches) {
    if (before.FindCache(cache.center) == nullptr && cache.mode == CacheMode::kOn) {
      return "the cache of center \"" + cache.center + "\" is not warmed before it is used";
    }
  }
  return {};
}

bool MayFollow(ShardMoveStep before, ShardMoveStep after) {
  using enum ShardMoveStep;
  switch (before) {
    case kCopying:
      return after == kFenced || after == kUndoing;
    case kFenced:
      return after == kCopying || after == kSwitched || after == kUndoing;
    case kSwitched:
      return after == kCleaning;
    case kCleaning:
      return after == kCopying;
    case kUndoing:
      return false;
  }
  return false;
}

std::string BrokenByMoveBegin(const TopologyDocument& before, const ShardMoveRecord& move) {
  if (move.step != ShardMoveStep::kCopying || move.batch.any() || move.term != 0) {
    return "a move of shards begins with nothing done";
  }
  const GroupRecord* const from = before.FindGroup(move.from);
  if (from == nullptr) return "a move of shards is between groups that there are";
  const auto index = static_cast<std::uint32_t>(from - before.groups.data());
  if ((move.shards & ~ShardMap::Of(before).ShardsOf(index)).any()) return "shards move from the group they live in";
  return {};
}

std::string BrokenByMoveEnd(const ShardMoveRecord& move) {
  const bool is_done = move.step == ShardMoveStep::kUndoing || move.step == ShardMoveStep::kCleaning ||
                       (move.step == ShardMoveStep::kCopying && move.batch.none());
  return is_done ? "" : "a move of shards ends when its batch is at its end, or undone";
}

std::string BrokenByShardMove(const TopologyDocument& before, const TopologyDocument& after) {
  if (before.shard_move == after.shard_move) return {};
  if (before.failover || after.failover) return "no shards move while a failover is under way";
  if (!before.shard_move) return BrokenByMoveBegin(before, *after.shard_move);
  const ShardMoveRecord& then = *before.shard_move;
  if (!after.shard_move) return BrokenByMoveEnd(then);
  const ShardMoveRecord& now = *after.shard_move;
  if (then.from != now.from || then.to != now.to || then.shards != now.shards || then.begin_time != now.begin_time) {
    return "another move of shards is under way";
  }
  if (now.term < then.term || (now.mover != then.mover && now.term == then.term)) {
    return "a mover of shards takes a term of its own";
  }
  const bool begins =
      now.step != then.step && (now.step == ShardMoveStep::kFenced || now.step == ShardMoveStep::kSwitched);
  if (then.stops && (!now.stops || begins)) return "a move of shards that was stopped does not go on";
  if (then.step != now.step && !MayFollow(then.step, now.step)) {
    return "a move of shards does not go from " + std::string(NameOf(then.step)) + " to " +
           std::string(NameOf(now.step));
  }
  const bool begins_batch =
      now.step == ShardMoveStep::kCopying && (then.step == ShardMoveStep::kCleaning || then.batch.none());
  if (then.batch != now.batch && !begins_batch) return "the shards under way are moved before others are";
  return {};
}

std::string BrokenByShards(const TopologyDocument& before, const TopologyDocument& after) {
  if (before.groups.empty()) return {};
  for (std::size_t i = 0; i < before.groups.size(); ++i) {
    const std::string& name = before.groups[i].name;
    if (i < after.groups.size() && after.groups[i].name == name) continue;
    if (after.FindGroup(name) == nullptr) return "group \"" + name + "\" goes, and its databases are numbered by it";
    return "groups are numbered by their names, so \"" + after.groups[i].name + "\" needs one that stands behind \"" +
           before.groups.back().name + "\"";
  }
  const ShardMap then = ShardMap::Of(before);
  const ShardMap now = ShardMap::Of(after);
  const auto& move = before.shard_move;
  const bool switches = move && after.shard_move && move->step == ShardMoveStep::kFenced &&
                        after.shard_move->step == ShardMoveStep::kSwitched;
  for (std::uint16_t shard = 0; shard < kShardCount; ++shard) {
    const std::string& was = before.groups[then.GroupOf(ShardId(shard))].name;
    const std::string& is = after.groups[now.GroupOf(ShardId(shard))].name;
    const bool goes = switches && move->batch[shard];
    if (goes ? was == move->from && is == move->to : was == is) continue;
    return "shard " + std::to_string(shard) + " would live in another group than its rows";
  }
  return {};
}

}  // namespace

std::string FaultOfWriter(const TopologyDocument& document) {
  if (document.writer.empty()) return {};
  for (const GroupRecord& group : document.groups) {
    if (CenterOfPrimary(group) == document.writer) continue;
    return "the primary of group \"" + group.name + "\" is not in the center that writes, \"" + document.writer + "\"";
  }
  return {};
}

bool TopologyDocument::names_shards() const {
  return std::ranges::any_of(groups, [](const GroupRecord& group) { return group.shards.any(); });
}

const CacheRecord* TopologyDocument::FindCache(std::string_view center) const {
  const auto found = std::ranges::find(caches, center, &CacheRecord::center);
  return found == caches.end() ? nullptr : &*found;
}

CacheRecord* TopologyDocument::FindCache(std::string_view center) {
  const auto found = std::ranges::find(caches, center, &CacheRecord::center);
  return found == caches.end() ? nullptr : &*found;
}

const GroupRecord* TopologyDocument::FindGroup(std::string_view group) const {
  const auto found = std::ranges::find(groups, group, &GroupRecord::name);
  return found == groups.end() ? nullptr : &*found;
}

GroupRecord* TopologyDocument::FindGroup(std::string_view group) {
  const auto found = std::ranges::find(groups, group, &GroupRecord::name);
  return found == groups.end() ? nullptr : &*found;
}

void TidyTopology(const TopologyDocument& before, TopologyDocument& document) {
  std::ranges::sort(document.centers);
  std::ranges::sort(document.callers, {}, &CallerRecord::name);
  std::ranges::sort(document.groups, {}, &GroupRecord::name);
  std::ranges::sort(document.caches, {}, &CacheRecord::center);
  for (GroupRecord& group : document.groups) {
    std::ranges::sort(group.databases, {}, &DatabaseRecord::name);
    std::ranges::sort(group.ackers, {}, &AckerRecord::name);
    const GroupRecord* const then = before.FindGroup(group.name);
    const bool is_same = then != nullptr && then->primary == group.primary &&
                         std::ranges::equal(then->ackers, group.ackers, {}, &AckerRecord::name, &AckerRecord::name);
    if (!is_same) group.ackers_revision = document.revision;
  }
  const auto fence_of = [](const TopologyDocument& of) {
    return of.shard_move && of.shard_move->is_fenced() ? of.shard_move->batch : ShardSet();
  };
  const bool moved = !before.groups.empty() && document.names_shards() &&
                     (fence_of(before) != fence_of(document) ||
                      std::ranges::any_of(document.groups, [&before](const GroupRecord& group) {
                        const GroupRecord* const then = before.FindGroup(group.name);
                        return (then == nullptr ? ShardSet() : then->shards) != group.shards;
                      }));
  if (moved) document.shards_revision = document.revision;
  if (document.failovers.size() > kOutcomesKept) {
    document.failovers.erase(document.failovers.begin(), document.failovers.end() - kOutcomesKept);
  }
}

std::string BrokenRule(const TopologyDocument& before, const TopologyDocument& after) {
  if (std::string broken = BrokenByWriter(before, after); !broken.empty()) return broken;
  if (std::string broken = BrokenByCaches(before, after); !broken.empty()) return broken;
  if (std::string broken = BrokenByShards(before, after); !broken.empty()) return broken;
  if (std::string broken = BrokenByShardMove(before, after); !broken.empty()) return broken;
  if (!before.failover && after.failover) return BrokenByBegin(before, after);
  if (before.failover && after.failover) return BrokenByProgress(before, after);
  if (before.failover && !after.failover) return BrokenByEnd(before, after);
  return BrokenByUpkeep(before, after);
}

}  // namespace muster
