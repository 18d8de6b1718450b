// A server's part in deciding about failovers, and its repeating of changes.

#include <algorithm>
#include <chrono>
#include <utility>

#include "centers/center_server.h"
#include "topology/failover/failover_plan.h"

namespace muster::sim {
namespace {

using failover::PlantedFault;
using std::chrono::milliseconds;

constexpr Duration kStoodStill = milliseconds(300);
// Changes before the newest that are told again by who does not know which it has told.
constexpr std::size_t kRepeatedMax = 64;

// Those that are planted around the controller, as its own simulation has them.
PlantedFault FaultOf(PlantedInCenters bug) {
  switch (bug) {
    case PlantedInCenters::kLeasesNotAwaited:
      return PlantedFault::kNoWait;
    case PlantedInCenters::kFirstAcker:
      return PlantedFault::kAnyAcker;
    default:
      return PlantedFault::kNone;
  }
}

}  // namespace

void CenterServer::Turn() {
  const Instant now = world_.now();
  sight_.now = now;
  sight_.wall = world_.clock.Now();
  if (now - turned_at_ > kStoodStill) sight_.awake_since = now;
  turned_at_ = now;
  lag_.Note(sight_);
  if (is_replacing_) return;
  const std::int64_t revision = sight_.document->revision;
  const PlantedFault fault = FaultOf(world_.planted);
  const bool is_planted = fault != PlantedFault::kNone;
  failover::ControllerTurn turn =
      is_planted ? controller_.Decide(SeenWith(fault, sight_, journalled_)) : controller_.Decide(sight_);
  if (!turn.leads) return;
  if (is_planted) ChangeTurn(fault, sight_, journalled_, turn);
  for (const failover::DatabaseOrder& order : turn.orders) Send(order);
  if (turn.next) Replace(*turn.next, revision, turn.why);
}

void CenterServer::Send(const failover::DatabaseOrder& order) {
  failover::DatabaseSight& sight = sight_.databases[order.database];
  sight.is_busy = true;
  // An answer may be lost, and an order may come late.
  const bool is_lost = world_.is_rough && !world_.is_healed && world_.Chance(20);
  life_.After(is_lost ? milliseconds(1000) : milliseconds(2500), [&sight] { sight.is_busy = false; });
  if (!life_.Acts()) return;
  world_.scheduler.After(world_.Travel() + world_.Between(1, 10), [this, order, is_lost] {
    // What is on its way arrives, whatever becomes of its sender.
    if (!stage_.group.Reaches(place_, order.database)) return;
    const Result<void> done = stage_.group.Execute(order);
    world_.trace([&] {
      return name_ + " to " + order.database + ": " + order.Describe() + " @" + std::to_string(order.revision) +
             (done ? "" : " refused: " + done.error().message);
    });
    if (is_lost) return;
    life_.After(world_.Travel(), [this, database = order.database] {
      sight_.databases[database].is_busy = false;
      LookAt(database);
    });
  });
}

void CenterServer::Replace(const TopologyDocument& next, std::int64_t revision, const std::string& why) {
  is_replacing_ = true;
  life_.After(milliseconds(500), [this] { is_replacing_ = false; });
  if (!life_.Acts()) return;
  world_.scheduler.After(world_.Travel(), [this, next, revision, why] {
    const auto stored = stage_.topology.Change(place_, [&](TopologyDocument& document) -> Result<void> {
      if (document.revision != revision) return muster::Fail(Reason::kStateConflict, "it has changed");
      document = next;
      return {};
    });
    world_.trace([&] { return name_ + ": " + why + (stored ? "" : " (" + stored.error().message + ")"); });
    if (world_.is_rough && !world_.is_healed && world_.Chance(10)) return;  // the answer is lost
    life_.After(world_.Travel(), [this, document = stored ? *stored : nullptr] {
      is_replacing_ = false;
      if (document && sight_.document->revision < document->revision) sight_.document = document;
    });
  });
}

bool CenterServer::PlanSwitchover(const std::string& to) {
  if (!life_.Acts() || !sight_.document || is_replacing_) return false;
  sight_.now = world_.now();
  sight_.wall = world_.clock.Now();
  const failover::FailoverRequest request{
      .kind = FailoverKind::kPlanned, .to = to, .by_operator = true, .cause = "an operator asks"};
  const failover::FailoverPlan planned = PlanFailover(sight_, request, controller_.options());
  if (!planned.is_possible()) return false;
  Replace(BeginFailover(sight_, planned, request, controller_.options()), sight_.document->revision,
          "switchover to " + to);
  return true;
}

// What store/change_repeater.h does with the stream of changes, here the primary's log as far as it shows it: every
// change is announced again, for writers that die between commit and announcement.
void CenterServer::RepeatChanges() {
  const std::string primary = places_.Primary();
  if (primary.empty() || !stage_.group.Reaches(place_, primary)) return;
  const auto& database = stage_.group.Get(primary);
  if (!database.is_writable) return;
  const std::size_t visible = std::min(database.committed, database.log.size());
  if (visible == 0 || database.log[visible - 1].value == repeated_) return;
  std::size_t at = visible;
  TouchedEntries touched;
  for (; at > 0 && visible - at < kRepeatedMax && database.log[at - 1].value != repeated_; --at) {
    for (const Change& change : stage_.group.CommitOf(database.log[at - 1].value).changes) {
      touched.members.emplace_back(change.member_id, change.version);
      for (const Change::IdentityRef& identity : change.identities) touched.keys.push_back(identity.key);
    }
  }
  const std::uint64_t last = database.log[visible - 1].value;
  life_.After(world_.Travel(), [this, last, touched = std::move(touched)]() mutable {
    invalidator_->Announce(std::move(touched), [this, last](const Result<void>& told) {
      if (told) repeated_ = last;
    });
  });
}

}  // namespace muster::sim
