#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "topology/failover/sight.h"

namespace muster::failover {

// Why a failover or a switchover does not begin. The table is closed.
enum class Refusal : std::uint8_t {
  kNoDatabases,      // the topology names no groups, or nobody who writes
  kUnderWay,         // another one is
  kTopologyOld,      // the topology could not be confirmed just now
  kRestored,         // it is older than what databases have obeyed: it was restored from a backup
  kNoTarget,         // no other center has all that is needed
  kDegraded,         // writes of the last time may be in the lost center alone
  kAckerVanished,    // a database that may hold the last write alone does not answer
  kAckerIncomplete,  // one answers, but may have lost what it received, or cannot apply it
  kPrimaryAway,      // planned: the primary has to be asked to stop, and does not answer
  kLagging,          // planned: the database to promote is behind by more than a short pause allows
  kUnsafe,           // planned: the database to promote runs with settings that can lose what is acknowledged
  kHeldBack,         // another failover that nobody asked for was only just now
};
std::string_view NameOf(Refusal refusal);

struct RefusalText {
  Refusal refusal;
  std::string text;  // what is in the way, and what an operator would lose, or wait for
};

// What would be done, and what is in its way: nothing, or all of it.
struct FailoverPlan {
  FailoverKind kind = FailoverKind::kLoss;
  std::string from = {};
  std::string to = {};
  std::vector<std::string> steps = {};  // for people, in their order
  std::vector<RefusalText> refusals = {};
  std::vector<std::string> losses = {};  // what `accepts_loss` gives up; empty: nothing

  bool is_possible() const { return refusals.empty(); }
  // All refusals as one error, STATE_CONFLICT.
  Error AsError() const;
};

struct FailoverRequest {
  FailoverKind kind = FailoverKind::kLoss;
  std::string to = {};  // empty: the one other center that has the databases
  bool by_operator = false;
  bool accepts_loss = false;  // an operator's: does not wait for databases that do not answer
  std::string cause = {};
};

// What to do about a topology that was restored from a backup, as the end of a sentence.
inline constexpr std::string_view kAfterRestore =
    "see that its primaries are those of the last failover, and say so by `muster topology restored` "
    "(docs/operating/faults.md)";
// What tells that the topology is older than what a database has obeyed, with what to do; empty: nothing does.
std::string RestoredFromBackup(const Sight& sight);

// Looks at everything and changes nothing.
FailoverPlan PlanFailover(const Sight& sight, const FailoverRequest& request, const FailoverOptions& options);

// The document with which the plan begins, out of the one it was made for. Whoever controls goes on from there.
TopologyDocument BeginFailover(const Sight& sight, const FailoverPlan& plan, const FailoverRequest& request,
                               const FailoverOptions& options);

// The document in which a failover under way that waits for ackers goes on without them, as an operator asks; what they
// alone may hold is lost. STATE_CONFLICT: none is under way, or it waits for none.
Result<TopologyDocument> AcceptLossOf(const Sight& sight, const FailoverOptions& options);

// The document that asks for a rebuild, for FailoverOperator::Rebuild; the one in sight if it asks for it already.
Result<TopologyDocument> AskForRebuild(const Sight& sight, std::string_view database, const FailoverOptions& options);

}  // namespace muster::failover
