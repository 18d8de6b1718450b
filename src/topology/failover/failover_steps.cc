#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "topology/failover/controller_turn.h"
#include "topology/writer_lease.h"

namespace muster::failover {
namespace {

class FailoverSteps {
 public:
  FailoverSteps(const Sight& sight, const FailoverOptions& options, ControllerMemory& memory, TurnBuilder& build)
      : sight_(sight),
        options_(options),
        memory_(memory),
        build_(build),
        document_(*sight.document),
        journal_(*document_.failover) {}

  void Take() {
    EndLeases();
    for (const GroupProgress& progress : journal_.groups) {
      const GroupRecord& group = *document_.FindGroup(progress.group);
      switch (progress.step) {
        case GroupStep::kFenced:
          if (journal_.kind == FailoverKind::kLoss) ChooseAfterLoss(group);
          break;
        case GroupStep::kChosen:
          Promote(group, progress);
          break;
        case GroupStep::kPromoted:
          if (journal_.kind == FailoverKind::kPlanned) FollowNewPrimary(group);
          break;
      }
    }
    const auto is_at = [&](GroupStep step) {
      return std::ranges::all_of(journal_.groups, [&](const GroupProgress& group) { return group.step == step; });
    };
    if (journal_.kind == FailoverKind::kPlanned && is_at(GroupStep::kFenced)) ChooseAsPlanned();
    if (is_at(GroupStep::kPromoted)) End(false);
    if (MayUndo()) End(true);
  }

 private:
  const DatabaseSight* Reached(const std::string& name) const {
    return sight_.FindReached(name, options_.detect_after);
  }
  // An order of this failover, or of a later topology, was obeyed.
  bool HasObeyed(const DatabaseSight& seen) const { return seen.state.obeyed >= journal_.begin_revision; }
  bool IsDrained(const GroupRecord& group) const {
    const DatabaseSight* const seen = sight_.Find(group.primary);
    return seen != nullptr && HasObeyed(*seen) && !seen->state.is_writable;
  }
  bool IsStopped(const DatabaseSight& seen) const { return HasObeyed(seen) && !seen.state.receives; }

  // Nobody writes any more by a lease of the last writer: they have run out, or its databases take nothing. The right
  // to write was taken when this epoch began, and nobody has seen that later than we have.
  void EndLeases() {
    if (journal_.leases_ended) return;
    const bool is_over = sight_.now - memory_.epoch_seen >= WaitAfterMove(document_);
    const bool is_drained =
        journal_.kind == FailoverKind::kPlanned &&
        std::ranges::all_of(document_.groups, [&](const GroupRecord& group) { return IsDrained(group); });
    if (is_over || is_drained) build_.Edit("the leases have ended").failover->leases_ended = true;
  }

  void ChooseAfterLoss(const GroupRecord& group) {
    const DatabaseSight* best = nullptr;
    std::string chosen;
    bool all_stopped = !group.ackers.empty();
    for (const AckerRecord& acker : group.ackers) {
      const DatabaseSight* const seen = sight_.Find(acker.name);
      if (seen == nullptr || !IsStopped(*seen)) {
        all_stopped = false;
        // By then they may have been told to get the rest from the last primary.
        if (memory_.last_logs.contains(group.name)) continue;
        build_.Order({.database = acker.name, .kind = OrderKind::kStopReceiving});
        if (Reached(acker.name) == nullptr)
          Wait(group, acker.name, "does not answer and may hold the last writes alone");
        continue;
      }
      const bool has_not_begun = HasNotBegun(acker, seen->state);
      if (has_not_begun && seen->state.fault != ReplicaFault::kNone) continue;
      if (!journal_.accepts_loss && !has_not_begun && !(seen->state.acknowledges && seen->state.applies)) {
        all_stopped = false;
        Wait(group, acker.name,
             "was started again, or cannot apply what it received, and may have lost the last writes");
        continue;
      }
      if (!CanApply(acker.name, *seen)) {
        all_stopped = false;
        continue;
      }
      if (best == nullptr || IsBetter(seen->state, best->state)) {
        best = seen;
        chosen = acker.name;
      }
    }
    if (all_stopped && best != nullptr) {
      Choose(group, chosen, best->state.Held());
    } else if (journal_.leases_ended && sight_.now - memory_.journal_seen >= options_.last_primary_after) {
      ChooseFromLastPrimary(group);
    }
  }

  // Whether it applies what it has; one that was started again, and nothing is wrong with, is told to. Who follows
  // nobody has nothing else.
  bool CanApply(const std::string& name, const DatabaseSight& seen) {
    if (seen.state.applies || seen.state.following.empty() || seen.state.fault != ReplicaFault::kNone) return true;
    build_.Order({.database = name, .kind = OrderKind::kStopReceiving});
    return false;
  }

  // The ackers cannot tell, but the last primary is back: after the leases have ended nothing more is acknowledged
  // there, so its log has everything, and any database that gets it may be promoted.
  void ChooseFromLastPrimary(const GroupRecord& group) {
    const DatabaseSight* const primary = Reached(group.primary);
    if (primary == nullptr || !primary->state.following.empty()) return;
    const auto [end, is_new] = memory_.last_logs.try_emplace(
        group.name, ControllerMemory::Barrier{.position = primary->state.applied, .looked_at = primary->looked_at});
    // The first look may have been before the leases ended.
    if (is_new) return;
    if (!end->second.is_settled && primary->looked_at > end->second.looked_at) {
      end->second = {.position = primary->state.applied, .looked_at = primary->looked_at, .is_settled = true};
    }
    if (!end->second.is_settled) return;
    for (const DatabaseRecord& database : group.databases) {
      const DatabaseSight* const seen = Reached(database.name);
      const bool is_able = database.center == journal_.to && !database.is_being_rebuilt();
      if (!is_able || seen == nullptr || seen->state.fault != ReplicaFault::kNone) continue;
      const ReplicationSource source = SourceFor(group, group.primary, database.name);
      const bool follows = seen->state.following == source.address;
      if (seen->state.HasApplied(end->second.position) && follows)
        return Choose(group, database.name, end->second.position);
      if (follows && seen->state.receives && seen->state.applies) continue;
      build_.Order({.database = database.name,
                    .kind = OrderKind::kFollow,
                    .source = source,
                    .acknowledges = seen->state.acknowledges ? Acknowledging::kYes : Acknowledging::kNotNow});
    }
  }

  static bool IsBetter(const DatabaseState& one, const DatabaseState& other) {
    const std::uint64_t held = one.Held().Total();
    const std::uint64_t held_by_other = other.Held().Total();
    return held != held_by_other ? held > held_by_other : one.applied.Total() > other.applied.Total();
  }

  // All groups at once: as long as none has chosen, it can be undone.
  void ChooseAsPlanned() {
    std::vector<std::pair<const GroupRecord*, std::string>> chosen;
    for (const GroupProgress& progress : journal_.groups) {
      const GroupRecord& group = *document_.FindGroup(progress.group);
      if (!IsDrained(group)) {
        Drain(group);
      } else if (std::string caught_up = FindCaughtUp(group); !caught_up.empty()) {
        chosen.emplace_back(&group, std::move(caught_up));
      }
    }
    if (chosen.size() != journal_.groups.size()) return;
    for (const auto& [group, name] : chosen) Choose(*group, name, sight_.Find(group->primary)->state.applied);
  }

  void Drain(const GroupRecord& group) {
    const DatabaseSight* const primary = sight_.Find(group.primary);
    if (primary == nullptr) return;
    build_.Order({.database = group.primary,
                  .kind = OrderKind::kGovern,
                  // Commits that wait for ackers which fail would keep it from stopping. After the leases they are
                  // acknowledged to nobody, and the next primary gets them all the same.
                  .primary = {.is_writable = false,
                              .waits = primary->state.waits && !journal_.leases_ended,
                              .shut_out = primary->state.shut_out}});
  }

  // A database that has all that the drained primary has; empty: none yet.
  std::string FindCaughtUp(const GroupRecord& group) const {
    const GtidPosition& end = sight_.Find(group.primary)->state.applied;
    for (const DatabaseRecord& database : group.databases) {
      const DatabaseSight* const seen = Reached(database.name);
      if (database.center != journal_.to || seen == nullptr || !seen->state.HasApplied(end)) continue;
      const bool follows = seen->state.following == SourceFor(group, group.primary, database.name).address;
      if (follows && seen->state.applies) return database.name;
    }
    return {};
  }

  void Choose(const GroupRecord& group, const std::string& chosen, const GtidPosition& position) {
    GroupProgress& progress = *build_.Edit("group " + group.name + " chooses " + chosen + " at " + position.Text())
                                   .failover->Find(group.name);
    progress.step = GroupStep::kChosen;
    progress.chosen = chosen;
    progress.position = position.Text();
  }

  bool MustWait(const GroupRecord& group, const GroupProgress& progress) const {
    return journal_.kind == FailoverKind::kPlanned && group.primary != progress.chosen;
  }

  bool IsPromoted(const GroupRecord& group, const GroupProgress& progress) const {
    if (progress.step == GroupStep::kPromoted) return true;
    const DatabaseSight* const seen = progress.step == GroupStep::kChosen ? Reached(progress.chosen) : nullptr;
    return seen != nullptr && HasObeyed(*seen) && seen->state.is_writable && seen->state.following.empty() &&
           seen->state.waits == MustWait(group, progress);
  }

  void Promote(const GroupRecord& group, const GroupProgress& progress) {
    const DatabaseSight* const seen = Reached(progress.chosen);
    if (seen == nullptr) return Wait(group, progress.chosen, "was chosen and does not answer");
    // Of a lost center's databases none can acknowledge; the upkeep brings them back one by one.
    const bool waits = MustWait(group, progress);
    const DatabaseState& state = seen->state;
    if (IsPromoted(group, progress)) {
      // Those of a planned one all at once: until then it can be undone.
      const bool may_name = journal_.kind == FailoverKind::kLoss || !Any([this](const GroupProgress& each) {
                              return !IsPromoted(*document_.FindGroup(each.group), each);
                            });
      if (journal_.leases_ended && may_name) NameNewPrimary(group, progress, state.applied, waits);
      return;
    }
    const auto position = GtidPosition::Parse(progress.position);
    if (!position) return build_.Attention(position.error().message);
    if (!state.Held().Covers(*position)) return CatchUp(group, progress.chosen, *position);
    if (!state.applied.Covers(*position)) {
      if (CanApply(progress.chosen, *seen) && !state.applies) {
        Wait(group, progress.chosen, "was chosen and cannot apply what it received");
      }
      return;
    }
    if (journal_.leases_ended) build_.Order({.database = progress.chosen, .kind = OrderKind::kPromote, .waits = waits});
  }

  // The chosen one was started again, and has lost what it had received: it gets that from one that has it. What it
  // gets beyond was acknowledged by nobody, and is then written as if it came late.
  void CatchUp(const GroupRecord& group, const std::string& chosen, const GtidPosition& position) {
    for (const DatabaseRecord& database : group.databases) {
      const DatabaseSight* const seen = Reached(database.name);
      if (database.name == chosen || seen == nullptr || !seen->state.HasApplied(position)) continue;
      return build_.Order(
          {.database = chosen, .kind = OrderKind::kFollow, .source = SourceFor(group, database.name, chosen)});
    }
    Wait(group, chosen, "was chosen, has lost since what it had received, and nobody who answers has it");
  }

  void NameNewPrimary(const GroupRecord& group, const GroupProgress& progress, const GtidPosition& position,
                      bool waits) {
    TopologyDocument& next = build_.Edit("group " + group.name + " has promoted " + progress.chosen);
    GroupRecord& record = *next.FindGroup(group.name);
    const std::string last = record.primary;
    record.primary = progress.chosen;
    record.promoted_at = position.Text();
    record.ackers.clear();
    // As planned: the last primary has all that the new one has, and acknowledges what comes.
    if (waits) record.ackers.push_back({.name = last, .state = AckerState::kJoining});
    record.durability = waits ? Durability::kBothCenters : Durability::kDegraded;
    next.failover->Find(group.name)->step = GroupStep::kPromoted;
  }

  void FollowNewPrimary(const GroupRecord& group) {
    for (const AckerRecord& acker : group.ackers) {
      const DatabaseSight* const seen = Reached(acker.name);
      const ReplicationSource source = SourceFor(group, group.primary, acker.name);
      if (seen == nullptr || (seen->state.following == source.address && seen->state.acknowledges)) continue;
      build_.Order(
          {.database = acker.name, .kind = OrderKind::kFollow, .source = source, .acknowledges = Acknowledging::kYes});
    }
  }

  // A planned one that takes too long gives the right back, and one whose centers are not both there does so at once:
  // without its last primary it is a loss, and without its target there is nothing to move to, whatever it has chosen
  // there; nobody has written there. One after a loss does when its cause has gone, and with it the reason to wait for
  // an acker.
  bool MayUndo() const {
    const Duration since = sight_.now - memory_.journal_seen;
    const bool has_chosen = Any([](const GroupProgress& group) { return group.step != GroupStep::kFenced; });
    if (journal_.kind == FailoverKind::kPlanned) {
      if (IsTargetAway() && AreLastPrimariesThere()) return true;
      const bool is_loss =
          std::ranges::any_of(document_.groups, [&](const GroupRecord& group) { return IsAway(group.primary); });
      return !has_chosen && (is_loss || since >= options_.planned_at_most);
    }
    // Ackers that were given up may acknowledge still.
    return !has_chosen && !journal_.accepts_loss && since >= options_.undo_after && AreLastPrimariesThere();
  }

  bool AreLastPrimariesThere() const {
    return std::ranges::all_of(document_.groups, [&](const GroupRecord& group) {
      return sight_.FindReached(group.primary, options_.reached_within) != nullptr;
    });
  }

  // None is the primary yet, and one that is to be does not answer, or nobody who could be.
  bool IsTargetAway() const {
    return !Any([](const GroupProgress& group) { return group.step == GroupStep::kPromoted; }) &&
           Any([this](const GroupProgress& progress) {
             if (progress.step == GroupStep::kChosen) return IsAway(progress.chosen);
             return std::ranges::all_of(document_.FindGroup(progress.group)->databases, [&](const auto& database) {
               return database.center != journal_.to || IsAway(database.name);
             });
           });
  }

  // It has not answered for so long that it may be lost; who has just begun to look cannot say so yet.
  bool IsAway(const std::string& database) const {
    const DatabaseSight* const seen = sight_.Find(database);
    const Instant answered = seen == nullptr ? Instant::min() : seen->looked_at;
    return sight_.now - std::max(answered, sight_.awake_since) > options_.detect_after;
  }

  template <typename Predicate>
  bool Any(Predicate predicate) const {
    return std::ranges::any_of(journal_.groups, predicate);
  }

  void End(bool undone) {
    // Another step of this turn may have gone further.
    if (undone && build_.HasEdited()) return;
    TopologyDocument& next = build_.Edit(undone ? "undone: it could not go on in time" : "done");
    next.failovers.push_back({.kind = journal_.kind,
                              .by_operator = journal_.by_operator,
                              .from = journal_.from,
                              .to = journal_.to,
                              .cause = journal_.cause,
                              .begin_time = journal_.begin_time,
                              .end_time = sight_.wall,
                              .undone = undone});
    next.failover.reset();
    next.writer = undone ? journal_.from : journal_.to;
    if (undone) next.epoch = Epoch(next.epoch.value() + 1);
  }

  void Wait(const GroupRecord& group, const std::string& database, std::string_view why) {
    build_.Attention("the " + std::string(NameOf(journal_.kind)) + " from " + journal_.from + " to " + journal_.to +
                     " waits: " + database + " of group " + group.name + " " + std::string(why) +
                     ". Bring it, or center " + journal_.from + ", back" +
                     (journal_.kind == FailoverKind::kLoss
                          ? "; or give up what it may have: `muster topology failover --accept-loss`"
                          : ""));
  }

  const Sight& sight_;
  const FailoverOptions& options_;
  ControllerMemory& memory_;
  TurnBuilder& build_;
  const TopologyDocument& document_;
  const FailoverJournal& journal_;
};

}  // namespace

void TakeFailoverSteps(const Sight& sight, const FailoverOptions& options, ControllerMemory& memory,
                       TurnBuilder& build) {
  FailoverSteps(sight, options, memory, build).Take();
}

}  // namespace muster::failover
