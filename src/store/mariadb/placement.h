#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "store/mariadb/connection.h"

namespace muster::mariadb {

// Where a group's rows are now.
struct GroupPlacement {
  // A server of this process's center that holds a copy. Whoever reads from it may miss what was committed within the
  // last `lag` before now, and nothing older.
  struct Copy {
    Endpoint endpoint;
    Duration lag{0};
  };

  std::string name;                 // as the topology names it
  std::optional<Endpoint> primary;  // none: it moves just now, so nothing can be written
  std::vector<Copy> copies;  // nearest in time first; the primary, where it is in this center, is one without lag
};

// Of all groups, in their order. Thread-safe and quick: asked before each transaction and each batch of reads. A
// connection to what is no longer named is given up.
using PlacementSource = std::function<std::shared_ptr<const std::vector<GroupPlacement>>()>;

}  // namespace muster::mariadb
