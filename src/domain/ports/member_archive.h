#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/result.h"
#include "domain/change.h"
#include "domain/ids.h"
#include "domain/member.h"

namespace muster {

// Reads of many rows: history and export. Calls block on the store and are bounded by `limit`; thread-safe.
class MemberArchive {
 public:
  virtual ~MemberArchive() = default;

  // The member's changes with a version below `before`, newest first, at most `limit`. Empty for an unknown member.
  virtual Result<std::vector<Change>> ListHistory(MemberId id, Version before, std::size_t limit) = 0;
  // Members with an id above `after`, in the order of their ids, at most `limit`.
  virtual Result<std::vector<Member>> ScanMembers(MemberId after, std::size_t limit) = 0;
  // The members with these ids, in any order; there are none for ids that nobody has. Bounded by how many are asked
  // for.
  virtual Result<std::vector<Member>> ReadMembers(std::span<const MemberId> ids) = 0;
};

}  // namespace muster
