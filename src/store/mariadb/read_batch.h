#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "domain/member_document.h"
#include "store/holder_search.h"
#include "store/mariadb/group_reader.h"
#include "store/mariadb/server_watch.h"
#include "store/mariadb/session.h"
#include "store/member_codec.h"
#include "store/settled_member.h"
#include "topology/shard_map.h"

namespace muster::mariadb {

// The rows of one round of reads: first all lookup rows with one statement a group, then all members, those that were
// asked for and the owners of the lookup rows, with another one. What a search reads beyond that, because it found a
// move or a row that had changed, it reads by itself. Of one reading thread; not thread-safe.
//
// What is answered, and what of it may be old. A document is a state that the member had at some moment since
// `Serving::has_all_before`; that there is none, or that nobody holds an identity, was so at such a moment; whoever is
// answered for an identity held it at one. From copies the rows of several groups are of different moments, so what two
// groups say together may be out of date in ways that neither is: but only about what was changed since then. So who
// knows that an identity, or the member that is answered, has not changed since is answered rightly
// (routing/center_route.h does, by floors).
class ReadBatch {
 public:
  ReadBatch(const std::vector<SessionSettings>& groups, const ReadTimes& times, ShardMapSource shards,
            MemberCodec codec, const Clock& clock, ServerWatch& watch);
  ~ReadBatch();

  using Groups = ShardSet;  // by index; there are not more of them than shards
  struct Found {
    MemberDocumentRef document;
    Groups groups;  // whose rows were read
  };

  // From now on all servers may be asked.
  void BeginAnew();
  // Forgets the last round, and reads what these need. A group that fails fails the reads that need it, alone.
  void Begin(ReadFrom from, std::span<const MemberId> ids, std::span<const IdentityKey> keys);
  // As of the round, or later.
  Result<Found> ReadDocument(MemberId id);
  Result<Found> FindHolderOf(const IdentityKey& key);
  // When all of a round's reads are done; before ServingOf. When shards have moved meanwhile all of it is doubtful.
  void ConfirmPrimaries();
  Serving ServingOf(const Groups& groups) const;
  // In the rounds to come those servers of these groups are not asked that answered in this one.
  void ExcludeThoseThatAnswered(const Groups& groups);

  // Rows that were asked for since the last call.
  std::uint64_t TakeRowCount();

 private:
  class Search;
  struct KnownOwner {
    HolderSource::Owner owner;
    Groups groups;
  };

  // Fails those of them that live where this process knows no group.
  template <typename Key, typename Rows>
  void FailUnknown(std::span<const Key> keys, Rows& rows) const;
  void LoadLookups(std::span<const IdentityKey> keys);
  void LoadMembers(std::span<const MemberId> ids);

  const ShardMapSource shards_;
  std::shared_ptr<const ShardMap> map_;  // of the round
  bool is_moved_ = false;                // shards have moved since it began
  Groups lacks_;                         // in which a row that was asked for is not
  MemberCodec codec_;
  std::vector<std::unique_ptr<GroupReader>> groups_;
  std::map<IdentityKey, Result<std::optional<LookupRow>>> lookups_;
  std::map<MemberId, Result<std::optional<Member>>> members_;
  std::map<MemberId, KnownOwner> owners_;
  std::uint64_t rows_ = 0;
};

}  // namespace muster::mariadb
