#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/mariadb/connection.h"

namespace muster::mariadb {

// Where a group's rows are now.
struct GroupPlacement {
  // A server of this process's center that holds a copy.
  struct Copy {
    Endpoint endpoint;
    // By this process's monotonic clock: it lacks nothing that was committed before this moment, so its answers are at
    // most so old. Min: not known. The moment stays true however late it is used.
    Instant has_all_before = Instant::min();
    // It is an acker, or the primary: what it holds is never taken back. Another one may hold what was acknowledged to
    // nobody and is lost with its primary: it is asked last, and no cache keeps what it answers.
    bool is_durable = true;
  };

  std::string name;                 // as the topology names it
  std::optional<Endpoint> primary;  // none: it moves just now, so nothing can be written
  // Before this moment no other server takes writes. After it the primary may have been replaced without our knowing,
  // and answers as a copy that lacks what came later. Max: it never is.
  Instant sole_until = Instant::max();
  // Nearest in time first; the primary, where it is in this center, is one of them. Whoever gives copies sees to it
  // that readers ask a center's cache before (routing/center_route.h): copies lag behind what was acknowledged.
  std::vector<Copy> copies;
};

// Of all groups, in their order. Thread-safe and quick: asked before each transaction and each batch of reads. A
// connection to what is no longer named is given up.
using PlacementSource = std::function<std::shared_ptr<const std::vector<GroupPlacement>>()>;

// Of a group that the topology has got since this process has begun: WRITES_UNAVAILABLE, or OVERLOADED to readers.
std::unexpected<Error> GroupIsNew(std::uint32_t group, Use use);

// One group of a source, by its place there and by its name, which it has when this is made. Thread-safe.
class GroupPlace {
 public:
  GroupPlace() = default;  // nowhere
  GroupPlace(PlacementSource source, std::size_t index);
  // A server that stays the primary.
  static GroupPlace Fixed(Endpoint primary);

  // Never null. Of a group that is no longer named where it was: one without servers.
  std::shared_ptr<const GroupPlacement> Now() const;
  // WRITES_UNAVAILABLE, or OVERLOADED to readers: it moves just now.
  Result<Endpoint> Primary(Use use) const;
  bool IsPrimary(const Endpoint& endpoint) const;
  // Whether the primary may become another one.
  bool moves() const { return source_ != nullptr; }

 private:
  PlacementSource source_;
  std::size_t index_ = 0;
  std::shared_ptr<const GroupPlacement> fixed_;  // without a source; with one: the name
};

}  // namespace muster::mariadb
