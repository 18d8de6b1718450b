#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "domain/ports/member_archive.h"
#include "domain/ports/shard_upkeep.h"
#include "store/mariadb/connection.h"
#include "store/mariadb/primary_link.h"
#include "store/mariadb/session.h"
#include "store/member_codec.h"
#include "topology/shard_map.h"

namespace muster::mariadb {

// Reads of many rows, with a connection a group of their own, which is opened when it is needed. One call runs at a
// time; each is bounded by its limit. A connection that has ended is opened again, once a call. What is answered was
// read where it lives: a call under way while shards move is done again.
class Archive final : public MemberArchive {
 public:
  Archive(std::vector<SessionSettings> groups, ShardMapSource shards, const Keyring& keyring, Random& random);

  Result<std::vector<Change>> ListHistory(MemberId id, Version before, std::size_t limit) override;
  Result<std::vector<Member>> ScanMembers(MemberId after, std::size_t limit) override;
  Result<std::vector<Member>> ReadMembers(std::span<const MemberId> ids) override;
  // How many lines the range that begins with `first` has; 0 when there is none.
  Result<std::uint64_t> CountRangeLines(std::int64_t first);
  // As the verbs of ShardUpkeep.
  Result<std::vector<MemberId>> ScanMarked(std::uint32_t group, MemberId after, std::size_t limit);
  using Lookups = std::vector<ShardUpkeep::LookupEntry>;
  Result<Lookups> ScanLookups(std::uint32_t group, const IdentityKey& after, std::size_t limit);
  // An estimate of the engine's.
  Result<std::int64_t> CountMembers();

  // Of a table with fewer rows than these a walk sorts all: asking for every range of keys would take longer.
  void SortUpTo(std::int64_t rows) { sorted_rows_max_ = rows; }

 private:
  using Rows = std::vector<Connection::Row>;
  class RowSource;

  // Runs `read` under one map, again when shards have moved meanwhile. OVERLOADED: they did each time.
  template <typename Read>
  auto UnderOneMap(Read read) -> decltype(read());
  // Whether the groups that were asked still have all rows of what lives there by the map.
  Result<void> ConfirmRows();
  // SQL: the rows of shards that live in the group; what it has of others comes or goes with them.
  std::string LivesIn(std::uint32_t group) const;
  Result<Rows> Ask(std::uint32_t group, const std::string& sql);
  Result<std::optional<Member>> ReadRow(MemberId id);
  Result<Lookups> ReadLookups(std::uint32_t group, const std::string& where, std::size_t limit);
  Result<Lookups> WalkLookups(std::uint32_t group, const IdentityKey& after, std::size_t limit);
  Result<std::int64_t> EstimateRows(std::uint32_t group, const std::string& table);
  Result<Member> Decode(const Connection::Row& row);
  Result<Member> Settle(Member member);

  const ShardMapSource shards_;
  std::mutex mutex_;
  std::shared_ptr<const ShardMap> map_;  // of the call under way
  ShardSet asked_;                       // groups, in the call under way
  MemberCodec codec_;
  std::vector<PrimaryLink> groups_;
  std::int64_t sorted_rows_max_ = 50'000;
};

}  // namespace muster::mariadb
