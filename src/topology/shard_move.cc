#include "topology/shard_move.h"

#include <cstdint>

#include "topology/shard_map.h"

namespace muster {
namespace {

std::unexpected<Error> NotNow(const std::string& why) { return Fail(Reason::kStateConflict, why); }

Result<void> CheckRequest(const ShardMoveRequest& request, const TopologyDocument& document) {
  const auto refuse = [](const std::string& why) { return Fail(Reason::kInvalidArgument, why); };
  const GroupRecord* const from = document.FindGroup(request.from);
  const GroupRecord* const to = document.FindGroup(request.to);
  for (const auto& [name, group] : {std::pair(request.from, from), std::pair(request.to, to)}) {
    if (group == nullptr)
      return refuse("the topology has no group \"" + name + "\"; `muster topology show` lists them");
  }
  if (from == to) return refuse("shards move from one group to another");
  if (request.shards.none()) return refuse("no shards are named");
  const auto index = static_cast<std::uint32_t>(from - document.groups.data());
  if (const ShardSet strange = request.shards & ~ShardMap::Of(document).ShardsOf(index); strange.any()) {
    return refuse("shards " + ShardsText(strange) + " do not live in group \"" + request.from +
                  "\"; `muster topology show` says where they do");
  }
  return {};
}

Result<void> CheckDurability(const GroupRecord& from, const GroupRecord& to) {
  if (to.durability == Durability::kBothCenters || from.durability == Durability::kDegraded) return {};
  return NotNow("group \"" + to.name + "\" is degraded, and \"" + from.name +
                "\" is not: what moves there now would be in one center alone; wait until `muster topology show` says "
                "both-centers");
}

}  // namespace

Result<ShardMovePlan> PlanShardMove(const ShardMoveRequest& request, const TopologyDocument& document) {
  MUSTER_TRY(CheckRequest(request, document));
  if (document.failover || document.writer.empty()) return NotNow("a failover is under way: wait for its end");
  if (document.shard_move) {
    return NotNow("shards move already, from group \"" + document.shard_move->from + "\" to \"" +
                  document.shard_move->to + "\": wait for the end, or stop it with --undo");
  }
  MUSTER_TRY(CheckDurability(*document.FindGroup(request.from), *document.FindGroup(request.to)));
  ShardMovePlan plan{.request = request, .steps = {}};
  plan.steps = {
      "copy " + std::to_string(request.shards.count()) + " shards, some at a time, to group \"" + request.to +
          "\", while they are written to",
      "of those: refuse writes, for some seconds at most, copy what has changed since, and compare both sides",
      "switch them over, wait until no server can believe otherwise, and take writes again",
      "delete their rows in group \"" + request.from + "\"",
  };
  return plan;
}

Result<void> BeginShardMove(const ShardMoveRequest& request, Timestamp now, TopologyDocument& document) {
  MUSTER_TRY(PlanShardMove(request, document));
  NameShards(document);
  document.shard_move =
      ShardMoveRecord{.from = request.from, .to = request.to, .shards = request.shards, .batch = {}, .begin_time = now};
  return {};
}

ShardMovePlan PlanOfStop(const TopologyDocument& document) {
  const ShardMoveRecord& move = *document.shard_move;
  const GroupRecord* const to = document.FindGroup(move.to);
  ShardMovePlan plan{.request = {.shards = move.shards, .from = move.from, .to = move.to}, .steps = {}};
  const bool has_gone = move.step == ShardMoveStep::kSwitched || move.step == ShardMoveStep::kCleaning;
  if (move.batch.any()) {
    const std::string batch = "shards " + ShardsText(move.batch);
    plan.steps.push_back(has_gone ? batch + " have been switched: their move is brought to its end"
                                  : batch + " stay in group \"" + move.from + "\": what was copied of them is deleted");
  }
  if (const ShardSet moved = to == nullptr ? ShardSet() : move.shards & to->shards; moved.any()) {
    plan.steps.push_back("shards " + ShardsText(moved) + " live in group \"" + move.to +
                         "\" already, and stay there; to have them back, move them from there");
  }
  return plan;
}

Result<void> StopShardMove(TopologyDocument& document) {
  if (!document.shard_move) return NotNow("no shards move");
  document.shard_move->stops = true;
  return {};
}

Result<void> CheckMayMove(const TopologyDocument& document) {
  const GroupRecord* const from = document.FindGroup(document.shard_move->from);
  const GroupRecord* const to = document.FindGroup(document.shard_move->to);
  if (from == nullptr || to == nullptr) return NotNow("a group of the move is gone");
  return CheckDurability(*from, *to);
}

Result<void> StepShardMove(std::int64_t term, ShardMoveStep next, TopologyDocument& document) {
  if (!document.shard_move || document.shard_move->term != term) return NotNow("another server moves the shards");
  if (document.failover || document.writer.empty()) return NotNow("a failover is under way");
  ShardMoveRecord& move = *document.shard_move;
  if (next == ShardMoveStep::kFenced || next == ShardMoveStep::kSwitched) MUSTER_TRY(CheckMayMove(document));
  if (next == ShardMoveStep::kSwitched) {
    if (move.stops) return NotNow("the move was stopped");
    GroupRecord* const from = document.FindGroup(move.from);
    GroupRecord* const to = document.FindGroup(move.to);
    from->shards &= ~move.batch;
    to->shards |= move.batch;
  }
  move.step = next;
  return {};
}

ShardSet NextBatch(const TopologyDocument& document, std::size_t at_most) {
  ShardSet batch;
  if (!document.shard_move || document.shard_move->stops) return batch;
  const GroupRecord* const from = document.FindGroup(document.shard_move->from);
  if (from == nullptr) return batch;
  const ShardSet left = document.shard_move->shards & from->shards;
  for (std::size_t shard = 0; shard < left.size() && batch.count() < at_most; ++shard) batch[shard] = left[shard];
  return batch;
}

}  // namespace muster
