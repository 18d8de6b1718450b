#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "domain/member_document.h"
#include "store/holder_search.h"
#include "store/mariadb/connection.h"
#include "store/mariadb/session.h"
#include "store/mariadb/shard_map.h"
#include "store/member_codec.h"
#include "store/settled_member.h"

namespace muster::mariadb {

// The connections of one reading thread, one a group, opened when they are needed, and the rows of one batch of reads:
// first all lookup rows with one statement a group, then all members, those that were asked for and the owners of the
// lookup rows, with another one. What a search reads beyond that, because it found a move or a row that had changed, it
// reads by itself. Not thread-safe.
class ReadBatch {
 public:
  ReadBatch(std::vector<SessionSettings> groups, const ShardMap& shards, MemberCodec codec);
  ~ReadBatch();

  // Forgets the last batch, and reads what these need. A group that fails fails the reads that need it, alone.
  void Begin(std::span<const MemberId> ids, std::span<const IdentityKey> keys);
  // As of the batch, or later.
  Result<MemberDocumentRef> ReadDocument(MemberId id);
  Result<MemberDocumentRef> FindHolderOf(const IdentityKey& key);

  // Rows that were asked for since the last call.
  std::uint64_t TakeRowCount();

 private:
  struct GroupReader;
  class Search;

  void LoadLookups(std::span<const IdentityKey> keys);
  void LoadMembers(std::span<const MemberId> ids);
  GroupReader& GroupOf(ShardId shard);

  const ShardMap& shards_;
  MemberCodec codec_;
  std::vector<std::unique_ptr<GroupReader>> groups_;
  std::map<IdentityKey, Result<std::optional<LookupRow>>> lookups_;
  std::map<MemberId, Result<std::optional<Member>>> members_;
  std::map<MemberId, HolderSource::Owner> owners_;
  std::uint64_t rows_ = 0;
};

}  // namespace muster::mariadb
