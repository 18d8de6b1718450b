#include "topology/failover/testing/failover_world.h"

#include <algorithm>
#include <utility>

#include "topology/failover/loss_detector.h"
#include "topology/failover/testing/failover_world_node.h"
#include "topology/testing/two_center_topology.h"
#include "topology/topology_codec.h"

namespace muster::failover {
namespace {

using std::chrono::milliseconds;

constexpr Duration kStoodStill = milliseconds(300);
constexpr Duration kHalfDoneAtMost = milliseconds(300);

}  // namespace

FailoverWorld::FailoverWorld(const WorldPlan& plan) : plan_(plan), random_(plan.seed), begin_(clock_.Monotonic()) {
  topology_ = std::make_shared<TopologyDocument>(testing::TwoDistantCenters(plan.groups));
  for (const GroupRecord& group : topology_->groups) {
    for (const DatabaseRecord& record : group.databases) {
      MemoryDatabases::Database& database = databases_.Add(record.name);
      center_of_[record.name] = record.center;
      database.obeyed = 1;
      if (record.name == group.primary) {
        database.is_writable = database.waits = true;
      } else {
        database.following = group.primary;
        database.receives = database.is_connected = database.applies = true;
        database.acknowledges = database.told_to_acknowledge = record.center != "east";
      }
      After(Between(0, 10), [this, name = record.name] { Replicate(name); });
    }
  }
  databases_.never_waits = plan.planted == PlantedFault::kNoAck;
  databases_.keeps_all_at_start = plan.planted == PlantedFault::kNoTruncate;
  const std::pair<const char*, const char*> nodes[] = {
      {"se", "east"}, {"sw1", "west"}, {"sw2", "west"}, {"so", "witness"}};
  for (const auto& [name, center] : nodes) {
    auto& node = nodes_[name] = std::make_unique<Node>();
    node->name = name;
    node->center = center;
    StartNode(*node);
  }
  last_acknowledged_ = begin_;
  After(milliseconds(200), [this] { Misfortune(); });
  After(milliseconds(500), [this] { Operate(); });
}

FailoverWorld::~FailoverWorld() = default;

void FailoverWorld::At(Duration when, Work what) { events_.emplace(begin_ + when, std::move(what)); }
void FailoverWorld::After(Duration delay, Work work) { events_.emplace(clock_.Monotonic() + delay, std::move(work)); }

void FailoverWorld::OnNode(Node& node, Duration delay, Work work) {
  After(delay, [this, &node, life = node.life, work = std::move(work)] {
    if (node.life != life || !node.runs) return;
    if (node.is_frozen) return OnNode(node, milliseconds(20), work);
    work();
  });
}

Duration FailoverWorld::Between(std::int64_t low_ms, std::int64_t high_ms) {
  return milliseconds(low_ms) + Duration(random_.Below(static_cast<std::uint64_t>((high_ms - low_ms) * 1000 + 1)));
}

// Mostly a millisecond or two, now and then much longer.
Duration FailoverWorld::Latency() {
  if (plan_.is_rough && !healed_ && Chance(40)) return Between(5, 1500);
  return Between(0, 2);
}

Duration FailoverWorld::LatencyTo(const Node& node) {
  return node.center == plan_.late_center && Chance(3) ? Between(5, 2500) : Latency();
}

bool FailoverWorld::AreLinked(const std::string& one, const std::string& other) const {
  return one == other || !cuts_.contains(std::minmax(one, other));
}

bool FailoverWorld::ReachesEtcd(const std::string& center) const {
  if (clock_.Monotonic() < etcd_away_until_) return false;
  int voters = 0;
  for (const std::string voter : {"east", "west", "witness"}) {
    if (!dead_centers_.contains(voter) && AreLinked(center, voter)) ++voters;
  }
  return voters >= 2;
}

bool FailoverWorld::Reaches(const Node& node, const std::string& database) const {
  return AreLinked(node.center, center_of_.at(database)) && !hidden_.contains(database) &&
         databases_.Get(database).Answers();
}

void FailoverWorld::Violate(const std::string& what) {
  Trace("VIOLATION " + what);
  if (result_.violation.empty()) result_.violation = what;
}

void FailoverWorld::Trace(const std::string& what) {
  result_.trace.push_back(std::to_string(std::chrono::duration_cast<milliseconds>(elapsed()).count()) + " ms " + what);
}

void FailoverWorld::StartNode(Node& node) {
  node.controller = std::make_unique<FailoverController>(plan_.options);
  node.lease = std::make_unique<WriterLeaseKeeper>(node.center, LeaseTerm::kTimed);
  node.sight = {.self = node.name, .center = node.center, .awake_since = clock_.Monotonic()};
  for (const auto& [name, center] : center_of_) node.sight.databases[name];
  node.journalled = {};
  node.turned_at = clock_.Monotonic();
  node.is_replacing = node.is_writing = false;
  node.sequence = static_cast<std::int64_t>(random_.Below(1'000'000)) + 1;
  OnNode(node, Between(0, 50), [this, &node] { ReadTopology(node); });
  OnNode(node, Between(0, 50), [this, &node] { ExchangeReports(node); });
  OnNode(node, Between(0, 50), [this, &node] { Turn(node); });
  OnNode(node, Between(0, 50), [this, &node] { WriteSomething(node); });
  for (const auto& [name, center] : center_of_) {
    OnNode(node, Between(0, 100), [this, &node, database = name] { LookAt(node, database); });
  }
}

void FailoverWorld::ReadTopology(Node& node) {
  const Instant sent = clock_.Monotonic();
  OnNode(node, Between(80, 120), [this, &node] { ReadTopology(node); });
  After(Latency(), [this, &node, life = node.life, sent] {
    if (node.life != life || !ReachesEtcd(node.center)) return;
    OnNode(node, LatencyTo(node), [this, &node, sent, document = topology_] {
      if (node.sight.document && node.sight.document->revision > document->revision) return;
      node.sight.document = document;
      node.sight.document_at = std::max(node.sight.document_at, sent);
      node.lease->Confirm(*document, plan_.planted == PlantedFault::kFromReply ? clock_.Monotonic() : sent);
    });
  });
}

void FailoverWorld::ExchangeReports(Node& node) {
  const Instant sent = clock_.Monotonic();
  OnNode(node, Between(80, 120), [this, &node] { ExchangeReports(node); });
  node.sight.now = sent;
  const ObserverReport own{.observer = node.name,
                           .center = node.center,
                           .sequence = ++node.sequence,
                           .controls = true,
                           .reaches = ReachedDatabases(node.sight, plan_.options)};
  if (!ReachesEtcd(node.center)) {
    node.sight.board_since = Instant::min();
    return;
  }
  After(Latency(), [this, &node, life = node.life, sent, own] {
    if (node.life != life || !ReachesEtcd(node.center)) return;
    board_[own.observer] = own;
    std::vector<ObserverReport> reports;
    for (const auto& [name, report] : board_) reports.push_back(report);
    OnNode(node, Latency(), [&node, sent, reports] { TakeReports(node.sight, reports, sent); });
  });
}

void FailoverWorld::LookAt(Node& node, const std::string& database) {
  const Instant sent = clock_.Monotonic();
  OnNode(node, Between(90, 110), [this, &node, database] { LookAt(node, database); });
  if (node.sight.databases[database].is_busy) return;
  After(Latency(), [this, &node, life = node.life, database, sent] {
    if (node.life != life || !Reaches(node, database)) return;
    const auto state = databases_.Look(database);
    OnNode(node, Latency(), [&node, database, sent, state = *state] {
      DatabaseSight& sight = node.sight.databases[database];
      if (sent <= sight.looked_at) return;
      sight.state = state;
      sight.looked_at = sent;
    });
  });
}

void FailoverWorld::Turn(Node& node) {
  OnNode(node, Between(10, 30), [this, &node] { Turn(node); });
  node.sight.now = clock_.Monotonic();
  node.sight.wall = clock_.Now();
  if (node.sight.now - node.turned_at > kStoodStill) node.sight.awake_since = node.sight.now;
  node.turned_at = node.sight.now;
  if (node.is_replacing) return;
  const bool is_planted = plan_.planted != PlantedFault::kNone;
  const std::int64_t revision = node.sight.document ? node.sight.document->revision : 0;
  ControllerTurn turn =
      node.controller->Decide(is_planted ? SeenWith(plan_.planted, node.sight, node.journalled) : node.sight);
  if (is_planted && turn.leads) ChangeTurn(plan_.planted, node.sight, node.journalled, turn);
  for (const DatabaseOrder& order : turn.orders) Send(node, order);
  if (turn.next) Replace(node, *turn.next, revision, turn.why);
}

void FailoverWorld::Send(Node& node, const DatabaseOrder& order) {
  DatabaseSight& sight = node.sight.databases[order.database];
  sight.is_busy = true;
  // An answer may be lost, and an order may come late.
  const bool is_lost = plan_.is_rough && !healed_ && Chance(20);
  OnNode(node, is_lost ? milliseconds(1000) : milliseconds(2500), [&sight] { sight.is_busy = false; });
  After(Latency() + Between(1, 20), [this, &node, life = node.life, order, is_lost] {
    Arrive({.sender = &node, .life = life, .order = order, .is_lost = is_lost});
  });
}

// What is on its way arrives, whatever becomes of its sender. One that stands still has it half done, which keeps
// others of the same topology away for a moment; those of a later one end it at once.
void FailoverWorld::Arrive(SentOrder sent) {
  Node& node = *sent.sender;
  const DatabaseOrder& order = sent.order;
  if (!AreLinked(node.center, center_of_[order.database]) || hidden_.contains(order.database)) return;
  auto half_done = half_done_.find(order.database);
  const bool is_own = half_done != half_done_.end() && half_done->second.sender == &node;
  if (sent.half_done_at && !is_own) return;
  Result<void> done;
  if (half_done != half_done_.end() && !is_own && half_done->second.order.revision >= order.revision &&
      clock_.Monotonic() - *half_done->second.half_done_at <= kHalfDoneAtMost) {
    done = Fail(Reason::kWritesUnavailable, "another order is under way");
  } else if (node.is_frozen && node.life == sent.life) {
    if (!databases_.Begin(order.database, order.revision)) return;
    sent.half_done_at = sent.half_done_at.value_or(clock_.Monotonic());
    half_done_[order.database] = sent;
    return After(milliseconds(20), [this, sent] { Arrive(sent); });
  } else {
    half_done_.erase(order.database);
    done = Execute(order);
  }
  Trace(node.name + " to " + order.database + ": " + order.Describe() + " @" + std::to_string(order.revision) +
        (done ? "" : " refused: " + done.error().message));
  if (sent.is_lost || node.life != sent.life) return;
  OnNode(node, Latency(), [this, &node, order, done] {
    DatabaseSight& sight = node.sight.databases[order.database];
    if (order.kind == OrderKind::kRebuild && !done && done.error().reason != Reason::kWritesUnavailable) {
      sight.failed_rebuild = {.revision = order.revision, .why = done.error().message};
    }
    sight.is_busy = false;
    LookAt(node, order.database);
  });
}

Result<void> FailoverWorld::Execute(const DatabaseOrder& order) {
  switch (order.kind) {
    case OrderKind::kStopReceiving:
      return databases_.StopReceiving(order.database, order.revision);
    case OrderKind::kFollow:
      return databases_.Follow(order.database, order.revision, order.source, order.acknowledges);
    case OrderKind::kGovern:
      return databases_.Govern(order.database, order.revision, order.primary);
    case OrderKind::kRebuild:
      databases_.breaks_off_rebuild = plan_.is_rough && !healed_ && Chance(30);
      MUSTER_TRY(databases_.Rebuild(order.database, order.revision, order.source));
      return {};
    case OrderKind::kPromote:
      break;
  }
  MUSTER_TRY(databases_.Promote(order.database, order.revision, order.waits));
  CheckPromotion(order);
  return {};
}

void FailoverWorld::Replace(Node& node, const TopologyDocument& next, std::int64_t revision, const std::string& why) {
  node.is_replacing = true;
  OnNode(node, milliseconds(500), [&node] { node.is_replacing = false; });
  After(Latency(), [this, &node, life = node.life, next, revision, why] {
    if (!ReachesEtcd(node.center)) return;
    const TopologyDocument before = *topology_;
    auto changed = ChangeTopology(before, "topology", [&](TopologyDocument& document) -> Result<void> {
      if (document.revision != revision) return Fail(Reason::kStateConflict, "it has changed");
      document = next;
      return {};
    });
    if (changed) topology_ = std::make_shared<TopologyDocument>(*std::move(changed));
    Trace(node.name + ": " + why + (topology_->revision == before.revision ? " (refused)" : ""));
    if (topology_->revision != before.revision) NoteChange(before);
    if (plan_.is_rough && !healed_ && Chance(10)) return;  // the answer is lost
    if (node.life == life) {
      OnNode(node, Latency(), [&node, document = topology_] {
        node.is_replacing = false;
        if (node.sight.document->revision < document->revision) node.sight.document = document;
      });
    }
  });
}

WorldResult FailoverWorld::Run() {
  At(plan_.heal_at, [this] { Heal(); });
  const Instant end = begin_ + plan_.length;
  while (!events_.empty() && events_.begin()->first <= end && result_.violation.empty()) {
    auto event = events_.extract(events_.begin());
    const Instant now = clock_.Monotonic();
    if (event.key() > now) clock_.Advance(event.key() - now);
    event.mapped()();
  }
  if (result_.violation.empty()) CheckEnd();
  return std::move(result_);
}

}  // namespace muster::failover
