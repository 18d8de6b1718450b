#pragma once

#include <optional>

#include "base/result.h"
#include "domain/ids.h"
#include "domain/member_document.h"
#include "domain/ports/shard_store.h"

namespace muster {

// How often a search whose lookup row changes meanwhile begins again; beyond: OVERLOADED.
inline constexpr int kHolderAttemptsMax = 8;

// Rows of several databases, each in a snapshot of its own.
class HolderSource {
 public:
  virtual ~HolderSource() = default;
  virtual Result<std::optional<LookupRow>> ReadLookup(const IdentityKey& key) = 0;
  struct Owner {
    MemberDocumentRef document;    // null: no such member
    std::optional<MemberId> heir;  // who has what it gave, while its lookup rows may not say so yet (settled_member.h)
  };
  virtual Result<Owner> ReadOwner(MemberId id) = 0;
  // True when both rows live in one database, and so were read in one snapshot.
  virtual bool SharesSnapshot(const IdentityKey& key, MemberId id) const = 0;
  // What is read from now on sees every commit up to now.
  virtual void BeginAnew() = 0;
};

// The member that holds `key`, or null.
//
// An owner that lists the key held it when its row was read: that answer is always right. "Nobody" is right when there
// is no lookup row, when one snapshot shows both rows, and else only when the lookup row is the same before and after
// the owner's row was read: nobody else can have come to hold the key meanwhile. (protocols.md, section 2) An owner
// with an heir gave keys whose lookup rows still name it: the heir is looked at too.
//
// The snapshots that `source` has when it is called may be of any age and order, as a turn begins them when it first
// needs them.
Result<MemberDocumentRef> FindHolder(const IdentityKey& key, HolderSource& source);

}  // namespace muster
