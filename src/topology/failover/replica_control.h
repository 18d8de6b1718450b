#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "topology/failover/gtid_position.h"

namespace muster::failover {

// What keeps a replica from following.
enum class ReplicaFault : std::uint8_t {
  kNone,
  kDiverged,  // it holds transactions that the server it is to follow does not have
  kBroken,    // it cannot apply what it receives
};

// One database's replication, at one moment. Read in an order in which nothing is claimed that was not so: what
// `waits`, `shut_out` and `receives` say was already so when the positions were read.
struct DatabaseState {
  bool is_writable = false;
  std::int64_t obeyed = 0;  // the highest revision of the topology that an order to it came from
  std::string unsafe = {};  // a setting under which what it acknowledges can be lost, as "sync_binlog = 0"; or none
  // As a replica.
  std::string following = {};  // address of the server that it is set to receive from; empty: none
  bool receives = false;       // its receiving thread runs: it may receive, now or later
  bool is_connected = false;   // that thread is connected to the server, which found its log to be of one history
  bool applies = false;
  std::string refused = {};  // why its source does not let it in, in the server's words; empty: it does, or is away
  // It acknowledges what it receives. Off when a server starts, so on means: it has not lost since what it received.
  bool acknowledges = false;
  // It was told to acknowledge, and not since told not to. Kept on its disk: one that says no has acknowledged nothing
  // that it could have lost.
  bool may_have_acknowledged = false;
  ReplicaFault fault = ReplicaFault::kNone;
  // As a primary.
  bool waits = false;                      // its commits wait for an acknowledgement, for ever
  std::vector<std::string> shut_out = {};  // databases that it lets no longer receive, sorted
  // Of its log.
  GtidPosition applied = {};   // as a primary: written, also what still waits
  GtidPosition received = {};  // as a replica: written to its own disk

  // All that it has.
  GtidPosition Held() const {
    GtidPosition held = applied;
    held.Raise(received);
    return held;
  }
  // Whether what it applied has all of a log of its own history that reaches as far as `position`.
  bool HasApplied(const GtidPosition& position) const {
    return applied.Covers(position) && !applied.Contradicts(position);
  }
  friend bool operator==(const DatabaseState&, const DatabaseState&) = default;
};

struct ReplicationSource {
  std::string name = {};  // of the database
  std::string address = {};
  friend bool operator==(const ReplicationSource&, const ReplicationSource&) = default;
};

// Whether a replica acknowledges from now on.
enum class Acknowledging : std::uint8_t {
  kYes,
  kNo,      // and that it did is forgotten: others have what it acknowledged, or it is given up
  kNotNow,  // and that it did stays remembered
};

// What a primary is to be.
struct PrimaryOrder {
  bool is_writable = true;
  bool waits = true;
  std::vector<std::string> shut_out = {};  // sorted
  friend bool operator==(const PrimaryOrder&, const PrimaryOrder&) = default;
};

// One database server, as the failover controller sees and commands it. Every order carries the revision of the
// topology that it follows from, and is refused with STATE_CONFLICT by a database that has obeyed a later one: so a
// slow controller undoes nothing of a faster one. Orders may be given again. For one thread.
//
// Other errors: WRITES_UNAVAILABLE (it cannot be reached, or did not do it in time: it may yet), INTERNAL (its account
// or its settings do not allow it; the text says what to do).
class ReplicaControl {
 public:
  virtual ~ReplicaControl() = default;

  virtual Result<DatabaseState> Look(Deadline deadline) = 0;

  // It receives nothing more, and goes on to apply what it has, also when it was started again and does not apply yet.
  // What counts as acknowledging still does.
  virtual Result<void> StopReceiving(std::int64_t revision, Deadline deadline) = 0;

  // It becomes a replica of `source`, read-only, also when it was a primary. What a primary holds that nobody else has
  // stays, and it is then found to have diverged. STATE_CONFLICT also for one that was promoted under that revision: of
  // two controllers that go by one topology another one may have seen it later.
  virtual Result<void> Follow(std::int64_t revision, const ReplicationSource& source, Acknowledging acknowledges,
                              Deadline deadline) = 0;

  // It is a replica no longer, and takes writes. It must have applied all that it received: STATE_CONFLICT.
  virtual Result<void> Promote(std::int64_t revision, bool waits, Deadline deadline) = 0;

  // A primary, or one that came back read-only, becomes what `order` says. To become read-only it waits for the commits
  // under way.
  virtual Result<void> Govern(std::int64_t revision, const PrimaryOrder& order, Deadline deadline) = 0;

  // One that has diverged, cannot apply what it receives, or was a primary and has commits that wait for ever: what it
  // has more than `source` is written to a file, of whose name the answer tells; then it becomes a copy of `source`,
  // and follows it. Whoever waits for such a commit is cut off, and told nothing. STATE_CONFLICT: it was promoted under
  // that revision. One that follows it well stays as it is. It takes as long as copying does, and ends, with
  // WRITES_UNAVAILABLE, once `goes_on` is false. Whatever it ends with may be tried again.
  virtual Result<std::string> Rebuild(std::int64_t revision, const ReplicationSource& source,
                                      const std::function<bool()>& goes_on) = 0;
};

}  // namespace muster::failover
