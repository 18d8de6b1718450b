#include "topology/failover/failover_controller.h"

#include <algorithm>
#include <utility>

#include "topology/failover/failover_plan.h"

namespace muster::failover {

std::string DatabaseOrder::Describe() const {
  switch (kind) {
    case OrderKind::kStopReceiving:
      return "stop receiving";
    case OrderKind::kFollow:
      return "follow " + source.name + (acknowledges == Acknowledging::kYes ? " and acknowledge" : "");
    case OrderKind::kPromote:
      return waits ? "become the primary" : "become the primary, degraded";
    case OrderKind::kGovern:
      return std::string(primary.is_writable ? "take writes" : "stop taking writes") +
             (primary.waits ? ", wait for an acker" : ", wait for nobody") +
             (primary.shut_out.empty() ? "" : ", shut out " + std::to_string(primary.shut_out.size()));
    case OrderKind::kRebuild:
      return "become a copy of " + source.name;
  }
  return "?";
}

ReplicationSource SourceFor(const GroupRecord& group, std::string_view source, std::string_view database) {
  const DatabaseRecord& record = *group.Find(source);
  return {.name = record.name, .address = record.AddressFrom(group.Find(database)->center)};
}

TopologyDocument& TurnBuilder::Edit(const std::string& why) {
  if (!turn_.next) turn_.next = *sight_.document;
  if (!turn_.why.empty()) turn_.why += "; ";
  turn_.why += why;
  return *turn_.next;
}

void TurnBuilder::Order(DatabaseOrder order) {
  order.revision = sight_.document->revision;
  const DatabaseSight* const seen = sight_.Find(order.database);
  if (seen == nullptr || seen->is_busy) return;
  const auto last = memory_.ordered.find(order.database);
  if (last != memory_.ordered.end()) {
    DatabaseOrder again = last->second.first;
    again.revision = order.revision;
    if (again == order && sight_.now - last->second.second < kOrderAgainAfter) return;
  }
  memory_.ordered[order.database] = {order, sight_.now};
  turn_.orders.push_back(std::move(order));
}

void FailoverController::Remember(const Sight& sight) {
  const TopologyDocument& document = *sight.document;
  if (document.epoch.value() != memory_.epoch) {
    memory_.epoch = document.epoch.value();
    memory_.epoch_seen = sight.now;
  }
  const std::int64_t journal = document.failover ? document.failover->begin_revision : 0;
  if (journal != memory_.journal_revision) {
    memory_.journal_revision = journal;
    memory_.journal_seen = sight.now;
    memory_.last_logs.clear();
  }
}

ControllerTurn FailoverController::Decide(const Sight& sight) {
  ControllerTurn turn;
  if (!sight.document || sight.document->groups.empty()) return turn;
  Remember(sight);
  turn.verdict = JudgeCenter(sight, options_);
  turn.leads = ControllerOf(sight, options_) == sight.self;
  TurnBuilder build(sight, memory_, turn);
  Think(sight, turn, build);
  if (!turn.leads) {
    // It looks on, so that it can go on at once.
    turn.orders.clear();
    turn.next.reset();
    turn.why.clear();
  }
  return turn;
}

void FailoverController::Think(const Sight& sight, const ControllerTurn& turn, TurnBuilder& build) {
  if (sight.now - sight.document_at > options_.topology_fresh) {
    const std::string& why = sight.document_error;
    return build.Attention("the topology cannot be confirmed, so nothing is decided by it" +
                           (why.empty() ? "" : ": " + why));
  }
  // Whoever stood still does nothing by what it read before: others have gone on.
  if (sight.document_at < std::max(sight.awake_since, sight.turn_stood_still_until)) return;
  if (std::string text = RestoredFromBackup(sight); !text.empty()) return build.Attention(std::move(text));
  if (sight.document->failover) return TakeFailoverSteps(sight, options_, memory_, build);
  if (turn.verdict.health == CenterHealth::kLost) {
    const FailoverRequest request{.kind = FailoverKind::kLoss, .cause = turn.verdict.cause};
    const FailoverPlan plan = PlanFailover(sight, request, options_);
    if (!plan.is_possible()) {
      build.Attention(request.cause + ". " + plan.AsError().message);
    } else if (turn.leads) {
      build.Edit("failover from " + plan.from + " to " + plan.to + ": " + request.cause) =
          BeginFailover(sight, plan, request, options_);
      return;
    }
  }
  if (!sight.document->writer.empty()) KeepGroups(sight, options_, memory_, build);
}

}  // namespace muster::failover
