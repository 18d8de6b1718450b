#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "call.h"
#include "checker.h"
#include "domain/id_allocator.h"
#include "domain/member.h"
#include "domain/ports/member_writer.h"

namespace muster::sim {

// Few members and few identities, so that everybody gets in everybody's way. A member that is closed is replaced.
struct Population {
  std::vector<MemberId> members;
  std::vector<Identity> identities;
};

// A call, and all that it takes to make it again.
struct Plan {
  Call call;
  Member wanted;                            // register
  std::optional<OperationId> operation_id;  // register: kept when it is made again
  bool imported = false;
  std::string name;  // update
};

// The last calls with a key, of all clients, whatever became of them: to be made again by anybody, also while they are
// under way, and for their keys to be used for something else.
class Earlier {
 public:
  void Note(const Plan& plan);
  // Rather a late one. Empty: there is none.
  const Plan* Draw(Random& random) const;

 private:
  static constexpr std::size_t kPlansMax = 8;
  std::deque<Plan> plans_;
};

// Draws what a client wants next.
class Planner {
 public:
  Planner(Random& random, Population& population, const Checker& checker, const Earlier& earlier)
      : random_(random), population_(population), checker_(checker), earlier_(earlier) {}

  Plan Draw(IdAllocator& ids);

 private:
  void DrawSource(Plan& plan);
  void DrawRegistration(Plan& plan, IdAllocator& ids);
  void DrawKey(Plan& plan);
  const Identity& DrawIdentity() { return population_.identities[random_.Below(population_.identities.size())]; }

  Random& random_;
  Population& population_;
  const Checker& checker_;
  const Earlier& earlier_;
};

}  // namespace muster::sim
