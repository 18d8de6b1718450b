#include <algorithm>
#include <chrono>
#include <utility>

#include "topology/failover/controller_turn.h"

namespace muster::failover {
namespace {

// An async replica this near to its primary may become an acker.
constexpr std::uint64_t kCaughtUp = 1'000;

// The upkeep of one group. The order of steps is that of `models/failover.pml`:
//   out: named as leaving ► shut out at the primary ► another acker has all it had then ► named no longer
//   in:  named as joining ► acknowledges ► in
//   degraded: named so ► the primary waits no longer;  back: an acker is in ► the primary waits ► that acker has all
//   that was written until then, and nobody else can acknowledge ► named so
class GroupUpkeep {
 public:
  GroupUpkeep(const Sight& sight, const FailoverOptions& options, ControllerMemory& memory, TurnBuilder& build,
              const GroupRecord& group)
      : sight_(sight),
        options_(options),
        memory_(memory),
        build_(build),
        group_(group),
        primary_(*group.Find(group.primary)),
        seen_primary_(Reached(group.primary)) {}

  void Keep() {
    for (const DatabaseRecord& database : group_.databases) {
      NoteProgress(database.name);
      NoteHealth(database.name);
      NoteSecondWriter(database.name);
      NoteUnsafe(database.name);
    }
    // What is not asked of the primary itself can wait until it answers.
    if (seen_primary_ == nullptr || seen_primary_->state.following.empty()) memory_.following_since.erase(group_.name);
    if (seen_primary_ == nullptr) return;
    if (!seen_primary_->state.following.empty()) {
      // Just after a failover the last look may be from before it was promoted.
      const Instant since = memory_.following_since.try_emplace(group_.name, sight_.now).first->second;
      if (sight_.now - since < options_.acker_patience) return;
      build_.Attention(primary_.name + " is the primary of group " + group_.name + " and follows " +
                       seen_primary_->state.following + ": somebody else commands it; run RESET SLAVE ALL there");
      return;
    }
    if (group_.durability == Durability::kBothCenters) {
      KeepAckers();
    } else {
      Restore();
    }
    KeepReplicas();
    GovernPrimary();
  }

 private:
  // An old primary follows nobody while it still takes writes; one that does both was made writable by hand.
  void NoteSecondWriter(const std::string& name) {
    const DatabaseSight* const seen = Reached(name);
    if (seen == nullptr || name == primary_.name || !seen->state.is_writable || seen->state.following.empty()) return;
    build_.Attention(name + " of group " + group_.name + " follows " + primary_.name +
                     ", and takes writes all the same: somebody has turned its read_only off. Run SET GLOBAL read_only "
                     "= 1 there; what is written there alone keeps it from following");
  }

  // A server looks at settings when it starts; somebody may change them later.
  void NoteUnsafe(const std::string& name) {
    const DatabaseSight* const seen = Reached(name);
    if (seen == nullptr || seen->state.unsafe.empty()) return;
    build_.Attention(name + " of group " + group_.name + " runs with " + seen->state.unsafe +
                     ": what it acknowledges can be lost with its machine. Set it to 1, there and in its "
                     "configuration, and see `muster doctor`");
  }

  const DatabaseSight* Reached(const std::string& name) const {
    return sight_.FindReached(name, options_.detect_after);
  }

  static bool Has(const DatabaseState& state, const GtidPosition& position) {
    const GtidPosition held = state.Held();
    return held.Covers(position) && !held.Contradicts(position);
  }

  ReplicationSource PrimaryFor(const std::string& database) const { return SourceFor(group_, primary_.name, database); }

  bool Follows(const std::string& database, const DatabaseState& state) const {
    return state.following == PrimaryFor(database).address && state.receives && state.is_connected && state.applies &&
           state.fault == ReplicaFault::kNone;
  }

  // It receives, applies and acknowledges, and is not far behind.
  const DatabaseSight* Healthy(const AckerRecord& acker) const {
    const DatabaseSight* const seen = Reached(acker.name);
    const bool is_well =
        seen != nullptr && Follows(acker.name, seen->state) && seen->state.acknowledges && !IsBehind(acker.name);
    return is_well ? seen : nullptr;
  }

  // For acker_patience it has not got what the primary had then, though it looks connected: the link may be dead, which
  // TCP finds out later.
  bool IsBehind(const std::string& database) const {
    const auto progress = memory_.progress.find(database);
    return progress != memory_.progress.end() && seen_primary_ != nullptr &&
           sight_.now - progress->second.looked_at > options_.acker_patience;
  }

  void NoteProgress(const std::string& database) {
    if (seen_primary_ == nullptr || database == primary_.name) {
      memory_.progress.erase(database);
      return;
    }
    const auto progress = memory_.progress.find(database);
    if (progress != memory_.progress.end() && !HasSince(database, progress->second)) return;
    memory_.progress[database] = {.position = seen_primary_->state.applied, .looked_at = seen_primary_->looked_at};
  }

  const AckerRecord* FindHealthyBut(std::string_view name) const {
    for (const AckerRecord& acker : group_.ackers) {
      if (acker.name != name && acker.state == AckerState::kIn && Healthy(acker) != nullptr) return &acker;
    }
    return nullptr;
  }

  void NoteHealth(const std::string& database) {
    const AckerRecord* const acker = group_.FindAcker(database);
    if (acker == nullptr || Healthy(*acker) != nullptr) {
      memory_.failing_since.erase(database);
    } else {
      memory_.failing_since.try_emplace(database, sight_.now);
    }
    if (acker == nullptr || acker->state != AckerState::kLeaving) memory_.leaving.erase(database);
  }

  bool HasFailed(const AckerRecord& acker) const {
    const auto failing = memory_.failing_since.find(acker.name);
    return failing != memory_.failing_since.end() &&
           sight_.now - std::max(failing->second, sight_.awake_since) >= options_.acker_patience;
  }

  GroupRecord& Edit(const std::string& why) {
    return *build_.Edit("group " + group_.name + ": " + why).FindGroup(group_.name);
  }

  void Follow(const std::string& database, bool acknowledges) {
    build_.Order({.database = database,
                  .kind = OrderKind::kFollow,
                  .source = PrimaryFor(database),
                  .acknowledges = acknowledges ? Acknowledging::kYes : Acknowledging::kNo});
  }

  void KeepAckers() {
    for (const AckerRecord& acker : group_.ackers) {
      if (acker.state == AckerState::kLeaving) {
        TakeOut(acker);
        continue;
      }
      const DatabaseSight* const seen = Reached(acker.name);
      const bool was_restarted = acker.state == AckerState::kIn && seen != nullptr && !seen->state.acknowledges;
      if ((HasFailed(acker) || was_restarted) && FindHealthyBut(acker.name) != nullptr) {
        Edit("acker " + acker.name + " fails").FindAcker(acker.name)->state = AckerState::kLeaving;
      } else if (!was_restarted && !HasForgotten(acker, seen)) {
        BringIn(acker);
      }
    }
    // The others fail as well: commits would wait for ever.
    const bool all_fail =
        std::ranges::all_of(group_.ackers, [&](const AckerRecord& acker) { return HasFailed(acker); });
    if (!all_fail) return;
    GroupRecord& group = Edit("no acker is left, and commits wait for nobody from now on");
    group.durability = Durability::kDegraded;
    group.ackers.clear();
  }

  // One that is joining may have acknowledged alone and been started again: told anew, it would look complete. It fails
  // before long.
  static bool HasForgotten(const AckerRecord& acker, const DatabaseSight* seen) {
    return acker.state == AckerState::kJoining && seen != nullptr && seen->state.may_have_acknowledged &&
           !seen->state.acknowledges;
  }

  void BringIn(const AckerRecord& acker) {
    const DatabaseSight* const seen = Reached(acker.name);
    if (seen == nullptr || seen->state.fault != ReplicaFault::kNone) return;
    if (!seen->state.acknowledges || seen->state.following != PrimaryFor(acker.name).address || !seen->state.receives) {
      Follow(acker.name, true);
    } else if (acker.state == AckerState::kJoining && Follows(acker.name, seen->state)) {
      // Connected: one that has diverged is not, and commits would wait for it.
      Edit("acker " + acker.name + " is in").FindAcker(acker.name)->state = AckerState::kIn;
    }
  }

  void TakeOut(const AckerRecord& acker) {
    if (!std::ranges::binary_search(seen_primary_->state.shut_out, acker.name)) {
      memory_.leaving.erase(acker.name);
      return;  // GovernPrimary asks for it
    }
    const auto& [name, barrier] =
        *memory_.leaving
             .try_emplace(acker.name, ControllerMemory::Barrier{.position = seen_primary_->state.applied,
                                                                .looked_at = seen_primary_->looked_at})
             .first;
    const AckerRecord* const other = FindHealthyBut(acker.name);
    if (other == nullptr || !HasSince(other->name, barrier)) return;
    GroupRecord& group =
        Edit("acker " + acker.name + " is out, " + other->name + " has all that it may have acknowledged");
    std::erase_if(group.ackers, [&](const AckerRecord& each) { return each.name == acker.name; });
  }

  // A look that was later than the barrier's says that it has all up to it.
  bool HasSince(const std::string& database, const ControllerMemory::Barrier& barrier) const {
    const DatabaseSight* const seen = Reached(database);
    if (seen == nullptr || seen->looked_at <= barrier.looked_at || !seen->state.is_connected) return false;
    const GtidPosition held = seen->state.Held();
    return held.Covers(barrier.position) && !held.Contradicts(barrier.position);
  }

  bool AnyHealthyIn() const { return FindHealthyBut("") != nullptr; }

  // By the topology alone: whoever commands the primary by the same one says the same, whatever it sees of the ackers.
  bool MustWait() const {
    return group_.durability == Durability::kBothCenters ||
           std::ranges::any_of(group_.ackers, [](const AckerRecord& acker) { return acker.state == AckerState::kIn; });
  }

  void Restore() {
    for (const AckerRecord& acker : group_.ackers) {
      if (HasFailed(acker)) {
        std::erase_if(Edit("acker " + acker.name + " fails").ackers,
                      [&](const AckerRecord& each) { return each.name == acker.name; });
      } else {
        BringIn(acker);
      }
    }
    if (!seen_primary_->state.waits || !AnyHealthyIn()) {
      memory_.restoring.erase(group_.name);
      return;
    }
    const auto& [name, barrier] =
        *memory_.restoring
             .try_emplace(group_.name, ControllerMemory::Barrier{.position = seen_primary_->state.applied,
                                                                 .looked_at = seen_primary_->looked_at})
             .first;
    const bool others_are_silent = std::ranges::all_of(group_.databases, [&](const DatabaseRecord& database) {
      return database.name == primary_.name || group_.FindAcker(database.name) != nullptr || IsSilent(database.name) ||
             std::ranges::binary_search(seen_primary_->state.shut_out, database.name);
    });
    // An order of an earlier topology, that its commits wait for nobody, could still come: not once it has obeyed this.
    const bool will_wait = seen_primary_->state.obeyed >= sight_.document->revision;
    for (const AckerRecord& acker : group_.ackers) {
      if (acker.state != AckerState::kIn || !others_are_silent || !HasSince(acker.name, barrier)) continue;
      if (!will_wait) {
        is_to_obey_ = true;
        return;
      }
      Edit("acker " + acker.name + " has everything").durability = Durability::kBothCenters;
      return;
    }
  }

  // It acknowledges nothing, and no order from the time when it was an acker can make it.
  bool IsSilent(const std::string& name) const {
    const DatabaseSight* const seen = Reached(name);
    return seen != nullptr && !seen->state.acknowledges && seen->state.obeyed >= group_.ackers_revision;
  }

  // No order reaches it, or none is for it before somebody has it rebuilt.
  bool IsToldNothing(const std::string& name) const {
    const DatabaseSight* const seen = Reached(name);
    return seen == nullptr || seen->state.fault != ReplicaFault::kNone;
  }

  void KeepReplicas() {
    for (const DatabaseRecord& database : group_.databases) {
      const DatabaseSight* const seen = Reached(database.name);
      if (database.rebuild && HasRebuilt(database, seen)) {
        Edit(database.name + " is rebuilt").Find(database.name)->rebuild.reset();
      }
      if (seen != nullptr && !seen->state.refused.empty()) {
        build_.Attention(database.name + " of group " + group_.name + " is not let in by " + seen->state.following +
                         ", and receives nothing: put right the password or the grants of the account under which it "
                         "receives (`muster doctor`): " +
                         seen->state.refused);
      }
      if (database.name == primary_.name || group_.FindAcker(database.name) != nullptr) continue;
      if (database.is_being_rebuilt()) {
        Rebuild(database, seen);
        continue;
      }
      if (seen == nullptr) continue;
      const DatabaseState& state = seen->state;
      if (state.fault == ReplicaFault::kDiverged) {
        build_.Attention(database.name + " of group " + group_.name +
                         " holds transactions that nobody acknowledged and " + primary_.name +
                         " does not have: `muster topology rebuild " + database.name +
                         "` (what it has more is saved first)" + LastFailure(database));
      } else if (state.fault == ReplicaFault::kBroken) {
        build_.Attention(database.name + " of group " + group_.name +
                         " cannot apply what it receives: its SHOW SLAVE STATUS says why; `muster topology rebuild " +
                         database.name + "`" + LastFailure(database));
      } else if (state.following != PrimaryFor(database.name).address || !state.receives || !state.applies ||
                 !IsSilent(database.name)) {
        Follow(database.name, false);
      } else if (Follows(database.name, state) && database.center != primary_.center && IsNear(state) &&
                 !std::ranges::binary_search(seen_primary_->state.shut_out, database.name)) {
        Edit(database.name + " becomes an acker").ackers.push_back({.name = database.name});
      }
    }
  }

  static std::string LastFailure(const DatabaseRecord& database) {
    return database.rebuild ? ". The last time: " + database.rebuild->failure : std::string();
  }

  // It follows, under an order that is not older than the request; or it is what is not rebuilt.
  bool HasRebuilt(const DatabaseRecord& database, const DatabaseSight* seen) const {
    if (database.name == primary_.name || group_.FindAcker(database.name) != nullptr) return true;
    return seen != nullptr && Follows(database.name, seen->state) && seen->state.obeyed >= database.rebuild->revision;
  }

  void Rebuild(const DatabaseRecord& database, const DatabaseSight* seen) {
    auto& [request, since] = memory_.rebuilds[database.name];
    if (request != database.rebuild->revision) {
      request = database.rebuild->revision;
      since = sight_.now;
    }
    if (seen == nullptr) {
      return build_.Attention(database.name + " of group " + group_.name + " is to be rebuilt and does not answer");
    }
    // Until then somebody may read from it who has not heard of it.
    if (sight_.now - since < std::chrono::milliseconds(sight_.document->lease_ms)) return;
    if (seen->failed_rebuild && seen->failed_rebuild->revision >= request) {
      Edit(database.name + " could not be rebuilt").Find(database.name)->rebuild->failure = seen->failed_rebuild->why;
      return;
    }
    // It is a copy, and about to connect: not before its primary lets it, if it had been shut out.
    const DatabaseState& state = seen->state;
    const bool is_copy = state.fault == ReplicaFault::kNone && state.applies && state.receives &&
                         state.following == PrimaryFor(database.name).address && state.obeyed >= request;
    if (is_copy) return;
    build_.Order({.database = database.name, .kind = OrderKind::kRebuild, .source = PrimaryFor(database.name)});
  }

  bool IsNear(const DatabaseState& state) const {
    return state.Held().Total() + kCaughtUp >= seen_primary_->state.applied.Total();
  }

  // One that was started again shows what nobody has acknowledged. That nobody is told of it as of what is true, it
  // takes no writes, and so does not count as the primary for readers, before an acker has all of it: else a failover
  // just then would take back what was answered, and what caches keep.
  bool MayTakeWrites() const {
    const DatabaseState& state = seen_primary_->state;
    if (state.is_writable || group_.durability == Durability::kDegraded) return true;
    return std::ranges::any_of(group_.ackers, [&](const AckerRecord& acker) {
      const DatabaseSight* const seen = acker.state == AckerState::kIn ? Healthy(acker) : nullptr;
      return seen != nullptr && Has(seen->state, state.applied);
    });
  }

  void GovernPrimary() {
    PrimaryOrder wanted{.is_writable = MayTakeWrites(), .waits = MustWait(), .shut_out = {}};
    for (const DatabaseRecord& database : group_.databases) {  // by name
      if (database.name == primary_.name) continue;
      const AckerRecord* const acker = group_.FindAcker(database.name);
      const bool is_out = std::ranges::binary_search(seen_primary_->state.shut_out, database.name);
      const bool is_leaving = acker != nullptr && acker->state == AckerState::kLeaving;
      // Whoever is not named must not be able to acknowledge when commits begin to wait.
      const bool may_acknowledge =
          acker == nullptr && !IsSilent(database.name) &&
          (is_out || (wanted.waits && group_.durability == Durability::kDegraded && IsToldNothing(database.name)));
      if (is_leaving || may_acknowledge) wanted.shut_out.push_back(database.name);
    }
    const DatabaseState& state = seen_primary_->state;
    const PrimaryOrder is{.is_writable = state.is_writable, .waits = state.waits, .shut_out = state.shut_out};
    if (is == wanted && !is_to_obey_) return;
    build_.Order({.database = primary_.name, .kind = OrderKind::kGovern, .primary = std::move(wanted)});
  }

  const Sight& sight_;
  const FailoverOptions& options_;
  ControllerMemory& memory_;
  TurnBuilder& build_;
  const GroupRecord& group_;
  const DatabaseRecord& primary_;
  const DatabaseSight* const seen_primary_;
  bool is_to_obey_ = false;  // the primary is told what it is to be though it is so
};

}  // namespace

void KeepGroups(const Sight& sight, const FailoverOptions& options, ControllerMemory& memory, TurnBuilder& build) {
  for (const GroupRecord& group : sight.document->groups) GroupUpkeep(sight, options, memory, build, group).Keep();
}

}  // namespace muster::failover
