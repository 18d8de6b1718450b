#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "topology/failover/replica_control.h"

namespace muster::failover {

// The replication of MariaDB as far as a failover meets it, in memory: asynchronous replicas that write down what they
// receive before they apply it; commits that wait for any one acknowledgement (AFTER_SYNC: until then others receive
// the write and nobody sees it); receiving that is lost with its server; positions in one order for all primaries.
// Time, links and faults of messages are the caller's.
class MemoryDatabases {
 public:
  struct Entry {
    std::uint32_t server = 0;  // that wrote it
    std::uint64_t value = 0;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  struct Database {
    std::string name = {};
    std::uint32_t server = 0;
    bool runs = true;
    bool is_frozen = false;
    int life = 0;  // raised when it ends: its clients are not answered any more
    // On its disk.
    std::vector<Entry> log = {};  // as a primary: its binlog; as a replica: received, of which the first are applied
    std::size_t applied = 0;      // of the log
    std::size_t committed = 0;    // as a primary: visible
    std::string following = {};   // name
    std::string address = {};     // of whom it follows, as it was told
    std::int64_t obeyed = 0;
    bool told_to_acknowledge = false;
    std::int64_t promoted = 0;  // the revision of the last order to promote it
    std::vector<std::string> shut_out = {};
    // In its memory.
    bool is_writable = false;
    bool receives = false;
    bool is_connected = false;
    bool applies = false;
    bool acknowledges = false;
    bool waits = false;
    ReplicaFault fault = ReplicaFault::kNone;
    std::uint64_t connection = 0;  // raised when it begins to receive anew

    bool Answers() const { return runs && !is_frozen; }
  };
  // How a server is started after it ended, as MariaDB's --init-rpl-role: a replica gives up what it had not committed.
  enum class Start : std::uint8_t { kAsPrimary, kAsReplica };

  Database& Add(const std::string& name);
  Database& operator[](const std::string& name) { return *databases_.at(name); }
  const Database& Get(const std::string& name) const { return *databases_.at(name); }

  // The verbs of ReplicaControl, as the server does them at once; it answers.
  Result<DatabaseState> Look(const std::string& name);
  // An order begins, and goes no further.
  Result<void> Begin(const std::string& name, std::int64_t revision) { return Obey(*databases_.at(name), revision); }
  Result<void> StopReceiving(const std::string& name, std::int64_t revision);
  Result<void> Follow(const std::string& name, std::int64_t revision, const ReplicationSource& source,
                      Acknowledging acknowledges);
  Result<void> Promote(const std::string& name, std::int64_t revision, bool waits);
  Result<void> Govern(const std::string& name, std::int64_t revision, const PrimaryOrder& order);
  Result<std::string> Rebuild(const std::string& name, std::int64_t revision, const ReplicationSource& source);
  // Such a port. This outlives it.
  std::unique_ptr<ReplicaControl> MakeControl(const std::string& name);

  // A client's write: its place in the log, 0 when it is refused. It is committed once `committed` has reached it.
  std::size_t Write(const std::string& name, std::uint64_t value);
  // One step of a replica's threads: receives an entry; answers how many it has, when it acknowledges them.
  std::size_t Receive(const std::string& name);
  void Apply(const std::string& name);
  // `replica`, on its connection of that number, acknowledges the first `count` entries.
  void Acknowledge(const std::string& primary, const std::string& replica, std::uint64_t connection, std::size_t count);

  void Kill(const std::string& name);
  void Run(const std::string& name, Start start);
  static GtidPosition PositionOf(const Database& database, std::size_t count);

  bool never_waits = false;  // planted: a commit returns before anybody has acknowledged it
  bool keeps_all_at_start =
      false;  // planted: a server that comes back as a replica truncates nothing, and nobody looks
  bool breaks_off_rebuild = false;  // the next one ends half way: with a log that nobody else has

 private:
  static constexpr std::uint32_t kNobody = 4'294'967'294;

  static Result<void> Obey(Database& database, std::int64_t revision);
  static bool HasWaiting(const Database& database) { return database.committed < database.log.size(); }

  std::map<std::string, std::unique_ptr<Database>> databases_;
};

}  // namespace muster::failover
