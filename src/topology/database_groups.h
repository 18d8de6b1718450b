#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "domain/shard_set.h"

// The databases of an installation as the topology names them, and what moves the right to write between its centers.
namespace muster {

// An operator asks that a database becomes a copy of its group's primary: it has diverged, or cannot apply what it
// receives. It stands until the database follows again, or until it failed.
struct RebuildRecord {
  std::int64_t revision = 0;  // of the topology that asks for it
  std::string failure = {};   // why it ended without success, for people; empty: it is under way
  friend bool operator==(const RebuildRecord&, const RebuildRecord&) = default;
};

// A database server with a copy of a group's rows.
struct DatabaseRecord {
  std::string name = {};  // unique over all groups
  std::string center = {};
  std::string address = {};         // "host:port"
  std::string remote_address = {};  // for whoever is in another center; empty: the same
  std::optional<RebuildRecord> rebuild = {};
  friend bool operator==(const DatabaseRecord&, const DatabaseRecord&) = default;

  // As whoever is in `from` reaches it.
  const std::string& AddressFrom(std::string_view from) const {
    return remote_address.empty() || from == center ? address : remote_address;
  }
  bool is_being_rebuilt() const { return rebuild && rebuild->failure.empty(); }
};

// An acker is a replica whose acknowledgement a commit may have waited for: it may hold the last write alone.
//
//   (none) ──► joining ──► in ──► leaving ──► (none)
//
// It acknowledges at the earliest once it is named as `joining`, and is named until others have what it acknowledged.
enum class AckerState : std::uint8_t { kJoining, kIn, kLeaving };

struct AckerRecord {
  std::string name = {};
  AckerState state = AckerState::kJoining;
  friend bool operator==(const AckerRecord&, const AckerRecord&) = default;
};

enum class Durability : std::uint8_t {
  kBothCenters,  // what is acknowledged is in both centers
  kDegraded,     // commits wait for nobody: the loss of the writing center loses writes, so it is not failed over by
                 // itself
};

struct GroupRecord {
  std::string name = {};
  std::vector<DatabaseRecord> databases = {};  // sorted by name
  std::string primary = {};
  std::vector<AckerRecord> ackers = {};  // sorted by name; none of them in the primary's center
  // Of the topology that last changed who the ackers are, or whose: a database that is none of them counts as silent
  // once it has obeyed an order of that or a later one. Kept by ChangeTopology.
  std::int64_t ackers_revision = 0;
  Durability durability = Durability::kDegraded;
  // The position of the log at which the primary was promoted; empty: it is the first. Who has more than that of an
  // earlier primary holds what nobody acknowledged.
  std::string promoted_at = {};
  // That live here. When no group has any they are spread over all groups (topology/shard_map.h); else each shard is in
  // exactly one.
  ShardSet shards = {};
  friend bool operator==(const GroupRecord&, const GroupRecord&) = default;

  const DatabaseRecord* Find(std::string_view database) const;
  DatabaseRecord* Find(std::string_view database);
  const AckerRecord* FindAcker(std::string_view database) const;
  AckerRecord* FindAcker(std::string_view database);
};

enum class FailoverKind : std::uint8_t {
  kLoss,     // the center that writes is lost
  kPlanned,  // a switchover or a failback: it is asked to stop first
};

// How far a group is.
//
//   fenced ──► chosen ──► promoted
//
// `chosen` is final: the database to promote is written down before it is promoted, so whoever goes on promotes no
// other. (A planned one is undone when that is away: the last primary has all, and nobody has written to another.)
enum class GroupStep : std::uint8_t { kFenced, kChosen, kPromoted };

struct GroupProgress {
  std::string group = {};
  GroupStep step = GroupStep::kFenced;
  std::string chosen = {};    // from `chosen` on: the database to promote,
  std::string position = {};  // and what it must have applied before
  friend bool operator==(const GroupProgress&, const GroupProgress&) = default;
};

// A failover or switchover under way: whoever reads it can go on.
struct FailoverJournal {
  FailoverKind kind = FailoverKind::kLoss;
  bool by_operator = false;
  // An operator gives up what databases that cannot be asked may have acknowledged alone.
  bool accepts_loss = false;
  std::string from = {};  // centers
  std::string to = {};
  std::string cause = {};  // for people
  Timestamp begin_time{};
  std::int64_t begin_revision = 0;         // of the topology that began it: orders of its steps carry it or a later one
  bool leases_ended = false;               // those of `from` have been waited out, or it is read-only and drained
  std::vector<GroupProgress> groups = {};  // of every group, in their order
  friend bool operator==(const FailoverJournal&, const FailoverJournal&) = default;

  const GroupProgress* Find(std::string_view group) const;
  GroupProgress* Find(std::string_view group);
};

// One that has ended.
struct FailoverOutcome {
  FailoverKind kind = FailoverKind::kLoss;
  bool by_operator = false;
  std::string from = {};
  std::string to = {};
  std::string cause = {};
  Timestamp begin_time{};
  Timestamp end_time{};
  bool undone = false;  // `from` writes again
  friend bool operator==(const FailoverOutcome&, const FailoverOutcome&) = default;
};

// How far the shards of a move are that are under way.
//
//   copying ──► fenced ──► switched ──► cleaning ──► copying (the next ones), or the end
//    │  ▲         │ │
//    │  └─────────┘ │ it took too long, or a group failed over meanwhile
//    └──────────────┴──► undoing ──► the end
//
// They live in the one group until `switched`, and in the other one from then on. While `fenced` and `switched` nobody
// writes to them.
enum class ShardMoveStep : std::uint8_t { kCopying, kFenced, kSwitched, kCleaning, kUndoing };

// Shards that move from one group to another: whoever reads it can go on.
struct ShardMoveRecord {
  std::string from = {};  // groups
  std::string to = {};
  ShardSet shards = {};  // all of them
  ShardSet batch = {};   // of those the ones under way
  ShardMoveStep step = ShardMoveStep::kCopying;
  bool stops = false;  // nothing begins any more, and what is not switched is undone
  // Who carries it out, and since which revision. Only the last one's orders to databases count.
  std::string mover = {};
  std::int64_t term = 0;
  Timestamp begin_time{};
  friend bool operator==(const ShardMoveRecord&, const ShardMoveRecord&) = default;

  // Nobody writes to the shards of the batch.
  bool is_fenced() const { return step == ShardMoveStep::kFenced || step == ShardMoveStep::kSwitched; }
};

inline constexpr std::size_t kGroupsMax = 256;
inline constexpr std::size_t kDatabasesOfGroupMax = 16;
inline constexpr std::size_t kOutcomesKept = 16;  // the newest

// As the document, people and logs name them.
std::string_view NameOf(AckerState state);
std::string_view NameOf(Durability durability);
std::string_view NameOf(FailoverKind kind);
std::string_view NameOf(GroupStep step);
std::string_view NameOf(ShardMoveStep step);

}  // namespace muster
