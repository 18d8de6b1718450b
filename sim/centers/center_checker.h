#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "centers/center_world.h"
#include "centers/group_rows.h"
#include "domain/ports/member_reader.h"
#include "topology/failover/testing/memory_databases.h"
#include "topology/topology.h"

namespace muster::sim {

// What had been acknowledged when a read began: what it must not be older than.
struct ReadStart {
  Instant at{};
  std::size_t member_acks = 0;    // of the member, how many
  std::size_t identity_acks = 0;  // of the identity
};

// How a read was made, for what it may be answered.
struct ReadTerms {
  // The cache of its center was in use all along: whatever is answered is as new as what was acknowledged. Else a copy
  // may say how old its answer is, and lacks nothing that was acknowledged before.
  bool cache_was_usable = false;
  ReadOptions options = {};
};

// Watches what databases commit and what callers are told, and says when one cannot be right:
//
//   LOST      what was acknowledged is not in a database that is promoted, or not in the primary at the end
//   STALE     a read is answered what is older than what had been acknowledged when it began (or, with its age said,
//             before that); or what it answers was never so, or was taken back
//   TWO       a write is acknowledged under an epoch after which another center has begun to write
//   IDENTITY  a database shows an identity of two members, or a lookup row and no member that has it, or the reverse
//   AWAY      writes are away for longer than is promised; at the end, something has not come back
//   PROJECTION  at the end, databases, or a cache and the primary, do not agree
class CenterChecker {
 public:
  explicit CenterChecker(CenterWorld& world) : world_(world) {}

  using Log = std::span<const failover::MemoryDatabases::Entry>;

  // A commit is in a primary's log, behind `before`; it may come to nothing.
  void Begun(std::uint64_t value, const GroupCommit& commit, Log before);
  // The process answers a transaction that wrote, on the primary `database`, under `epoch`.
  void Committed(const std::string& server, const std::string& database, Epoch epoch, std::uint64_t value,
                 const TopologyDocument& now, const failover::MemoryDatabases& databases);
  // A caller is told of a member as it is after a write.
  void Acknowledged(const Member& member);

  // The newest version that was acknowledged.
  Version NewestOf(MemberId id) const;
  ReadStart BeginRead(MemberId id) const;
  ReadStart BeginRead(const IdentityKey& key) const;
  void EndRead(MemberId id, const ReadStart& start, const ReadTerms& terms, const Result<MemberAnswer>& answer);
  void EndRead(const IdentityKey& key, const ReadStart& start, const ReadTerms& terms,
               const Result<MemberAnswer>& answer);

  void CheckRows(const std::string& database, const GroupRows& rows);
  void TopologyChanged(const TopologyDocument& before, const TopologyDocument& after);
  // By an order of this revision of the topology.
  void Promoted(const std::string& database, std::int64_t revision, const TopologyDocument& document, Log log);
  // At the end: all that was acknowledged is in the primary's log.
  void CheckLog(const std::string& primary, Log log);

  Duration longest_pause() const { return longest_pause_; }
  Instant acknowledged_at() const { return acknowledged_at_; }
  std::uint64_t acknowledged() const { return acknowledged_count_; }
  std::uint64_t reads() const { return reads_; }
  std::uint64_t failovers() const { return failovers_; }
  // By source, and how many of them said an age.
  const std::map<std::string, std::uint64_t>& answers() const { return answers_; }

 private:
  struct Attempt {
    Member member;
    std::uint64_t value;
    const Attempt* before = nullptr;        // what this member was in that log
    std::vector<std::size_t> changes = {};  // of who holds an identity, with their key
    std::vector<IdentityKey> keys = {};
  };
  struct MemberAck {
    Instant at;
    const Attempt* attempt;
  };
  struct Holding {
    MemberId holder;  // zero: nobody
    std::uint64_t value;
  };
  struct HoldingAck {
    Instant at;
    std::size_t change;
  };

  void NoteHolders(Attempt& attempt);
  const Attempt* Find(const Member& member) const;
  std::size_t AcksBefore(const std::vector<MemberAck>& acks, Instant at) const;
  void CheckDocument(const MemberDocumentRef& document, MemberId id, std::size_t acks, const std::string& what);
  bool IsWeak(const ReadTerms& terms, const MemberAnswer& answer) const;
  void CountAnswer(const Result<MemberAnswer>& answer);

  CenterWorld& world_;
  std::map<MemberId, std::map<Version, std::vector<std::unique_ptr<Attempt>>>> attempts_;
  std::map<std::uint64_t, std::vector<const Attempt*>> by_value_;
  std::map<MemberId, std::vector<MemberAck>> member_acks_;
  std::map<IdentityKey, std::vector<Holding>> holdings_;
  std::map<IdentityKey, std::vector<HoldingAck>> holding_acks_;
  std::set<std::uint64_t> acknowledged_;  // commits
  std::map<std::int64_t, std::string> promoted_;
  FailoverKind last_kind_ = FailoverKind::kLoss;
  Instant acknowledged_at_{};
  Duration longest_pause_{0};
  std::uint64_t acknowledged_count_ = 0;
  std::uint64_t reads_ = 0;
  std::uint64_t failovers_ = 0;
  std::map<std::string, std::uint64_t> answers_;
};

}  // namespace muster::sim
