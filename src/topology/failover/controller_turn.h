#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "topology/failover/loss_detector.h"
#include "topology/failover/replica_control.h"
#include "topology/failover/sight.h"
#include "topology/topology.h"

namespace muster::failover {

enum class OrderKind : std::uint8_t { kStopReceiving, kFollow, kPromote, kGovern, kRebuild };

// One verb of ReplicaControl, with what it needs.
struct DatabaseOrder {
  std::string database = {};
  OrderKind kind = OrderKind::kStopReceiving;
  std::int64_t revision = 0;
  ReplicationSource source = {};                        // kFollow, kRebuild
  Acknowledging acknowledges = Acknowledging::kNotNow;  // kFollow
  bool waits = false;                                   // kPromote
  PrimaryOrder primary = {};                            // kGovern

  friend bool operator==(const DatabaseOrder&, const DatabaseOrder&) = default;
  std::string Describe() const;
};

// What a controller wants done now.
struct ControllerTurn {
  bool leads = false;
  CenterVerdict verdict = {};
  // The document that takes the place of the one in sight, unless that has changed; and why.
  std::optional<TopologyDocument> next = std::nullopt;
  std::string why = {};
  std::vector<DatabaseOrder> orders = {};
  // What does not go on by itself, or waits for something, in words that say what to do; also of who does not lead.
  std::vector<std::string> attention = {};
};

// What one controller remembers from turn to turn. Nothing of it is needed for safety by whoever goes on: what it lacks
// it waits for anew.
struct ControllerMemory {
  // A position of the primary, and when the look at it was sent: what others have to have.
  struct Barrier {
    GtidPosition position = {};
    Instant looked_at{};
    bool is_settled = false;
  };

  std::int64_t epoch = 0;
  Instant epoch_seen{};  // when this epoch was first seen
  std::int64_t journal_revision = 0;
  Instant journal_seen{};                                          // when the failover of that revision was first seen
  std::map<std::string, Instant, std::less<>> failing_since = {};  // of ackers
  std::map<std::string, Instant, std::less<>> following_since = {};  // by group: its primary is seen to follow another
  std::map<std::string, Barrier, std::less<>> leaving = {};          // by acker
  std::map<std::string, Barrier, std::less<>> progress = {};   // by database: what it has not been seen to have yet
  std::map<std::string, Barrier, std::less<>> last_logs = {};  // by group: the last primary's, in this failover
  std::map<std::string, Barrier, std::less<>> restoring = {};  // by group
  std::map<std::string, std::pair<DatabaseOrder, Instant>, std::less<>> ordered =
      {};  // the last order to each database
  // By database: the request to rebuild it, and when that was first seen.
  std::map<std::string, std::pair<std::int64_t, Instant>, std::less<>> rebuilds = {};
};

// Builds a turn: keeps the document that is to be, and does not repeat an order at once.
class TurnBuilder {
 public:
  TurnBuilder(const Sight& sight, ControllerMemory& memory, ControllerTurn& turn)
      : sight_(sight), memory_(memory), turn_(turn) {}

  // The document as it is to be; from now on it differs from the one in sight, for the reason `why`.
  TopologyDocument& Edit(const std::string& why);
  bool HasEdited() const { return turn_.next.has_value(); }
  // Not while an order to the database is under way, and not the same one again within kOrderAgainAfter.
  void Order(DatabaseOrder order);
  void Attention(std::string text) { turn_.attention.push_back(std::move(text)); }

 private:
  static constexpr Duration kOrderAgainAfter = std::chrono::milliseconds(300);

  const Sight& sight_;
  ControllerMemory& memory_;
  ControllerTurn& turn_;
};

// `source`, as another database of its group reaches it.
ReplicationSource SourceFor(const GroupRecord& group, std::string_view source, std::string_view database);

// The next steps of the failover under way.
void TakeFailoverSteps(const Sight& sight, const FailoverOptions& options, ControllerMemory& memory,
                       TurnBuilder& build);

// Between failovers: the primaries are as the topology says, replicas follow them, and the set of ackers is kept.
void KeepGroups(const Sight& sight, const FailoverOptions& options, ControllerMemory& memory, TurnBuilder& build);

}  // namespace muster::failover
