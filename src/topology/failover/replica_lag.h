#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <string>

#include "base/clock.h"
#include "topology/failover/gtid_position.h"
#include "topology/failover/sight.h"
#include "topology/topology.h"

namespace muster::failover {

// Until when no other center than the one that the document names can have begun to write, if a read confirmed it that
// was sent at `document_at`. (A switchover waits for no lease: who must know it asks the database whether it takes
// writes.)
Instant SoleUntil(const TopologyDocument& document, Instant document_at);

// How far copies are behind their primary, by this process's monotonic clock alone:
//
//   a look at the primary, sent at T, showed position P  +  a copy has applied P
//     ⇒ the copy lacks nothing that was committed before T
//
// So the answer is a moment, and it stays true however late it is used: its age is what the copy may be behind. A look
// counts only if the server certainly was the primary when it was sent:
//
// * the topology that names it was read before, and no other one can have begun to write until the lease is over that
//   runs from the last such read (writer_lease.h);
// * it was writable then: one that a switchover has drained is not, and a switchover waits for no lease.
//
// Positions are remembered under one primary and one epoch: numbers of one that was lost may mean something else to the
// next (`GroupRecord::promoted_at`). What a copy was found to have it keeps over a failover. A copy advances only while
// it is connected to its primary, which has found its log to be of one history; what has diverged, is rebuilt, follows
// nobody or takes writes is not known. Not thread-safe.
class ReplicaLag {
 public:
  static constexpr std::size_t kPositionsMax = 300;  // of a group: at ten looks a second, half a minute

  void Note(const Sight& sight);

  // By database: it lacks nothing that was committed before this moment. Absent: nothing is known, or it is a primary.
  using Times = std::map<std::string, Instant, std::less<>>;
  const Times& has_all_before() const { return has_all_before_; }

 private:
  struct Position {
    GtidPosition position = {};
    Instant sent{};
  };
  struct Group {
    std::string primary = {};
    std::int64_t epoch = 0;
    Instant since{};                      // looks that were sent before do not count
    std::deque<Position> positions = {};  // oldest first; each is different
  };

  static void NotePrimary(const Sight& sight, const GroupRecord& record, Group& group);
  void NoteCopy(const DatabaseSight& seen, const DatabaseRecord& primary, const std::string& name, const Group& group);

  std::map<std::string, Group, std::less<>> groups_;
  Times has_all_before_;
};

}  // namespace muster::failover
