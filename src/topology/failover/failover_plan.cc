#include "topology/failover/failover_plan.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/check.h"

namespace muster::failover {
namespace {

// A planned switchover pauses writes until the target has applied what is under way.
constexpr std::uint64_t kLagMax = 2'000;

struct Planner {
  const Sight& sight;
  const FailoverRequest& request;
  const FailoverOptions& options;
  FailoverPlan& plan;

  const TopologyDocument& document() const { return *sight.document; }
  void Refuse(Refusal refusal, std::string text) { plan.refusals.push_back({refusal, std::move(text)}); }

  void Plan() {
    if (document().failover) {
      return Refuse(Refusal::kUnderWay, "a " + std::string(NameOf(document().failover->kind)) + " from " +
                                            document().failover->from + " to " + document().failover->to +
                                            " is under way; wait for its end (`muster topology show`)");
    }
    if (document().groups.empty() || plan.from.empty()) {
      return Refuse(Refusal::kNoDatabases,
                    "the topology names no groups of databases, or no center that writes: there is nothing to move");
    }
    if (sight.now - sight.document_at > options.topology_fresh) {
      const std::string& why = sight.document_error;
      Refuse(Refusal::kTopologyOld,
             "the topology was last confirmed too long ago: " + (why.empty() ? "is a majority of etcd reached?" : why));
    }
    if (std::string text = RestoredFromBackup(sight); !text.empty()) Refuse(Refusal::kRestored, std::move(text));
    if (!FindTarget()) return;
    if (plan.kind == FailoverKind::kLoss && !request.by_operator) CheckHoldBack();
    for (const GroupRecord& group : document().groups) {
      if (plan.kind == FailoverKind::kLoss) {
        PlanLoss(group);
      } else {
        PlanSwitchover(group);
      }
    }
  }

  bool HasDatabasesOfAll(const std::string& center) const {
    return std::ranges::all_of(document().groups, [&](const GroupRecord& group) {
      return std::ranges::count(group.databases, center, &DatabaseRecord::center) > 0;
    });
  }

  bool FindTarget() {
    std::vector<std::string> able;
    for (const std::string& center : document().centers) {
      if (center != plan.from && HasDatabasesOfAll(center)) able.push_back(center);
    }
    if (plan.to.empty() && able.size() == 1) plan.to = able.front();
    if (std::ranges::count(able, plan.to) > 0) return true;
    std::string names;
    for (const std::string& center : able) names += (names.empty() ? "" : ", ") + center;
    Refuse(Refusal::kNoTarget,
           (plan.to.empty() ? "no center was named" : "center \"" + plan.to + "\" cannot take over") +
               "; with a database of every group, and not writing, there " +
               (able.empty() ? "is none" : "is: " + names));
    return false;
  }

  // An operator's act, whatever it was, ends the time in which nothing happens by itself.
  void CheckHoldBack() {
    if (document().failovers.empty()) return;
    const FailoverOutcome& last = document().failovers.back();
    if (last.by_operator || last.kind == FailoverKind::kPlanned || sight.wall - last.end_time >= options.hold_back)
      return;
    const auto left =
        std::chrono::duration_cast<std::chrono::seconds>(options.hold_back - (sight.wall - last.end_time));
    Refuse(Refusal::kHeldBack,
           "the last failover nobody asked for ended only just now; the next one by itself may begin in " +
               std::to_string(left.count()) + " s. An operator may: `muster topology failover`");
  }

  // Those whose logs decide.
  std::vector<std::string> DecidersOf(const GroupRecord& group) const {
    std::vector<std::string> names;
    if (group.durability == Durability::kBothCenters) {
      for (const AckerRecord& acker : group.ackers) names.push_back(acker.name);
    } else {
      for (const DatabaseRecord& database : group.databases) {
        if (database.center == plan.to) names.push_back(database.name);
      }
    }
    return names;
  }

  void PlanLoss(const GroupRecord& group) {
    if (group.durability == Durability::kDegraded) {
      Miss(group, Refusal::kDegraded,
           "group " + group.name + " is degraded: what was written since may be in center " + plan.from +
               " alone. Wait for its primary " + group.primary + ", or accept the loss of these writes");
    }
    std::string deciders;
    for (const std::string& name : DecidersOf(group)) {
      const DatabaseRecord& database = *group.Find(name);
      if (database.center != plan.to) {
        Refuse(Refusal::kNoTarget, "acker " + name + " of group " + group.name + " is in center " + database.center +
                                       ": what it acknowledged alone would be missing in " + plan.to);
      }
      if (CheckDecider(group, name)) deciders += (deciders.empty() ? "" : ", ") + name;
    }
    if (deciders.empty()) {
      Refuse(Refusal::kAckerVanished, "no database of group " + group.name + " in center " + plan.to +
                                          " answers: start one of them; there is nothing to promote");
    }
    plan.steps.push_back("group " + group.name + ": stop receiving on " + deciders +
                         ", promote the one that has most once it has applied it, degraded until " + plan.from +
                         " is back");
  }

  // False: its log cannot be asked.
  bool CheckDecider(const GroupRecord& group, const std::string& name) {
    const DatabaseSight* const seen = sight.FindReached(name, options.reached_within);
    if (seen == nullptr) {
      Miss(group, Refusal::kAckerVanished,
           "acker " + name + " of group " + group.name + " does not answer and may hold the last writes alone: wait " +
               "for it, or for center " + plan.from + ", or accept the loss of what nobody else has");
      return false;
    }
    const AckerRecord* const acker = group.FindAcker(name);
    if (acker != nullptr && HasNotBegun(*acker, seen->state)) return seen->state.fault == ReplicaFault::kNone;
    if (!seen->state.acknowledges && group.durability == Durability::kBothCenters) {
      Miss(group, Refusal::kAckerIncomplete,
           "acker " + name + " of group " + group.name + " was started again and may have lost what it had received " +
               "and not applied: wait for center " + plan.from + ", or accept the loss of what nobody else has");
    }
    // One that was only started again is told to apply what it has, as it is to stop.
    if (!seen->state.applies && seen->state.fault != ReplicaFault::kNone) {
      Miss(group, Refusal::kAckerIncomplete,
           "acker " + name + " of group " + group.name +
               " does not apply what it received: repair it (its SHOW SLAVE " +
               "STATUS says why; do not restart its threads, which throws away what it received), wait for center " +
               plan.from + ", or accept the loss of what it alone has");
      return !request.accepts_loss;
    }
    return !request.accepts_loss || seen->state.fault == ReplicaFault::kNone;
  }

  // Something that an operator may accept.
  void Miss(const GroupRecord& group, Refusal refusal, std::string text) {
    if (!request.accepts_loss || !request.by_operator) {
      return Refuse(refusal, std::move(text) + " (`muster topology failover --accept-loss`)");
    }
    plan.losses.push_back("group " + group.name + ": " + std::string(NameOf(refusal)) + ": " + std::move(text));
  }

  void PlanSwitchover(const GroupRecord& group) {
    const DatabaseSight* const primary = sight.FindReached(group.primary, options.reached_within);
    if (primary == nullptr) {
      return Refuse(Refusal::kPrimaryAway, "primary " + group.primary + " of group " + group.name +
                                               " does not answer, so it cannot be asked to stop: wait for it, or fail "
                                               "over (`muster topology failover`)");
    }
    const DatabaseSight* best = nullptr;
    std::string best_name;
    for (const DatabaseRecord& database : group.databases) {
      const DatabaseSight* const seen = sight.FindReached(database.name, options.reached_within);
      // Connected: the primary has found it to be of its history.
      if (database.center != plan.to || seen == nullptr || !seen->state.applies || !seen->state.is_connected) continue;
      if (best == nullptr || seen->state.applied.Total() > best->state.applied.Total()) {
        best = seen;
        best_name = database.name;
      }
    }
    if (best == nullptr) {
      return Refuse(Refusal::kNoTarget, "no database of group " + group.name + " in center " + plan.to +
                                            " follows its primary: start one, or see what keeps it from following");
    }
    if (!best->state.unsafe.empty()) {
      return Refuse(Refusal::kUnsafe, best_name + " of group " + group.name + ", which would be promoted, runs with " +
                                          best->state.unsafe + ": set it to 1 first");
    }
    if (best->state.applied.Total() + kLagMax < primary->state.applied.Total()) {
      return Refuse(Refusal::kLagging,
                    best_name + " of group " + group.name + " is " +
                        std::to_string(primary->state.applied.Total() - best->state.applied.Total()) +
                        " transactions behind; at most " + std::to_string(kLagMax) +
                        " are waited for. Try again later");
    }
    plan.steps.push_back("group " + group.name + ": make " + group.primary + " read-only, promote " + best_name +
                         " or who is ahead of it then once it has applied everything, have " + group.primary +
                         " follow it");
  }
};

// Those that are asked are the ones that answer, whatever the others may have.
void AskThoseThatAnswer(const Sight& sight, const FailoverOptions& options, const std::string& center,
                        GroupRecord& group) {
  group.ackers.clear();
  for (const DatabaseRecord& database : group.databases) {
    const DatabaseSight* const seen = sight.FindReached(database.name, options.detect_after);
    const bool can_apply = seen != nullptr && seen->state.fault == ReplicaFault::kNone;
    if (database.center == center && can_apply && !database.is_being_rebuilt()) {
      group.ackers.push_back({.name = database.name, .state = AckerState::kIn});
    }
  }
  if (group.ackers.empty()) group.durability = Durability::kDegraded;
}

}  // namespace

std::string_view NameOf(Refusal refusal) {
  static constexpr auto kNames = std::to_array<std::string_view>(
      {"no-databases", "under-way", "topology-old", "restored", "no-target", "degraded", "acker-vanished",
       "acker-incomplete", "primary-away", "lagging", "unsafe", "held-back"});
  return kNames.at(static_cast<std::size_t>(refusal));
}

std::string RestoredFromBackup(const Sight& sight) {
  for (const auto& [name, seen] : sight.databases) {
    // A read that was sent after the order was seen would have found the topology that it came from.
    if (seen.state.obeyed <= sight.document->revision || seen.obeyed_since >= sight.document_at) continue;
    return name + " has obeyed topology " + std::to_string(seen.state.obeyed) + ", and the newest there is has " +
           std::to_string(sight.document->revision) +
           ": a backup of etcd was restored, and databases obey nothing that comes from it; " +
           std::string(kAfterRestore);
  }
  return {};
}

Error FailoverPlan::AsError() const {
  // While another one is under way nobody writes, and who would next is not looked for.
  const std::string ends = from.empty() ? "" : " from \"" + from + "\" to \"" + to + "\"";
  Error error{.reason = Reason::kStateConflict,
              .message = "the " + std::string(NameOf(kind)) + ends + " does not begin"};
  for (const RefusalText& each : refusals) {
    error.message += "; " + std::string(NameOf(each.refusal)) + ": " + each.text;
  }
  return error;
}

FailoverPlan PlanFailover(const Sight& sight, const FailoverRequest& request, const FailoverOptions& options) {
  MUSTER_CHECK(sight.document != nullptr);
  FailoverPlan plan{.kind = request.kind, .from = sight.document->writer, .to = request.to};
  plan.steps.push_back("take the right to write from " + plan.from + " (a new epoch)");
  Planner{.sight = sight, .request = request, .options = options, .plan = plan}.Plan();
  plan.steps.push_back(request.kind == FailoverKind::kLoss ? "wait until the leases of " + plan.from + " have ended"
                                                           : "wait until its primaries have stopped");
  plan.steps.push_back("give the right to write to " + plan.to);
  return plan;
}

namespace {

void Bypass(CacheRecord& cache) {
  cache = {.center = cache.center, .epoch = Epoch(cache.epoch.value() + 1), .mode = CacheMode::kBypass};
}

}  // namespace

TopologyDocument BeginFailover(const Sight& sight, const FailoverPlan& plan, const FailoverRequest& request,
                               const FailoverOptions& options) {
  const bool accepts_loss = request.by_operator && request.accepts_loss && !plan.losses.empty();
  TopologyDocument document = *sight.document;
  document.epoch = Epoch(document.epoch.value() + 1);
  document.writer.clear();
  FailoverJournal journal{.kind = plan.kind,
                          .by_operator = request.by_operator,
                          .accepts_loss = accepts_loss,
                          .from = plan.from,
                          .to = plan.to,
                          .cause = request.cause,
                          .begin_time = sight.wall,
                          .begin_revision = document.revision + 1};
  // With the leases of its writers those of its readers are waited out, too: nobody has to bypass it later. What is
  // given up may be in any cache.
  for (CacheRecord& cache : document.caches) {
    if (plan.kind == FailoverKind::kLoss && (cache.center == plan.from || accepts_loss)) Bypass(cache);
  }
  for (GroupRecord& group : document.groups) {
    journal.groups.push_back({.group = group.name});
    if (journal.accepts_loss) AskThoseThatAnswer(sight, options, plan.to, group);
  }
  document.failover = std::move(journal);
  return document;
}

Result<TopologyDocument> AcceptLossOf(const Sight& sight, const FailoverOptions& options) {
  TopologyDocument document = *sight.document;
  if (!document.failover) return Fail(Reason::kStateConflict, "no failover is under way that could give anything up");
  FailoverJournal& journal = *document.failover;
  if (journal.kind != FailoverKind::kLoss || journal.accepts_loss) {
    return Fail(Reason::kStateConflict, "the " + std::string(NameOf(journal.kind)) + " under way waits for no acker");
  }
  journal.by_operator = true;
  journal.accepts_loss = true;
  for (CacheRecord& cache : document.caches) Bypass(cache);
  for (const GroupProgress& progress : journal.groups) {
    if (progress.step != GroupStep::kFenced) continue;
    GroupRecord& group = *document.FindGroup(progress.group);
    AskThoseThatAnswer(sight, options, journal.to, group);
    if (group.ackers.empty()) {
      return Fail(Reason::kStateConflict, "no database of group " + group.name + " in center " + journal.to +
                                              " answers and can apply what it has: there is nothing to promote");
    }
  }
  return document;
}

namespace {

// Why the database is not rebuilt; empty: it may be.
std::string ReasonAgainstRebuild(const Sight& sight, const GroupRecord& group, const std::string& name,
                                 const FailoverOptions& options) {
  if (sight.document->failover) return "a failover is under way: wait for its end";
  if (group.primary == name) return "it is the primary of group " + group.name + ", which the others are copies of";
  if (group.FindAcker(name) != nullptr) {
    return "it counts among those that acknowledge, so it follows; if it does not, it is taken out of them soon";
  }
  const DatabaseSight* const seen = sight.FindReached(name, options.detect_after);
  if (seen == nullptr) return "it does not answer: start it first";
  if (seen->state.fault == ReplicaFault::kNone && !seen->state.is_writable) {
    return "nothing keeps it from following " + group.primary + ", so there is no need for it";
  }
  if (sight.FindReached(group.primary, options.detect_after) == nullptr) {
    return "primary " + group.primary + ", of which it would be a copy, does not answer";
  }
  return {};
}

}  // namespace

Result<TopologyDocument> AskForRebuild(const Sight& sight, std::string_view database, const FailoverOptions& options) {
  TopologyDocument document = *sight.document;
  for (GroupRecord& group : document.groups) {
    DatabaseRecord* const record = group.Find(database);
    if (record == nullptr) continue;
    if (record->is_being_rebuilt()) return document;
    if (const std::string against = ReasonAgainstRebuild(sight, group, record->name, options); !against.empty()) {
      return Fail(Reason::kStateConflict, record->name + " is not rebuilt: " + against);
    }
    record->rebuild = {.revision = document.revision + 1};
    return document;
  }
  return Fail(Reason::kNotFound,
              "the topology has no database \"" + std::string(database) + "\"; `muster topology show` lists them");
}

}  // namespace muster::failover
