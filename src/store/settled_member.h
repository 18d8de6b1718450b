#pragma once

#include <optional>

#include "base/result.h"
#include "domain/ids.h"
#include "domain/member.h"

namespace muster {

// How often a member whose moves end while it is being read is read anew; beyond: OVERLOADED.
inline constexpr int kSettledAttemptsMax = 8;

// Member rows of several databases, each in a snapshot of its own.
class MemberSource {
 public:
  virtual ~MemberSource() = default;
  virtual Result<std::optional<Member>> ReadRow(MemberId id) = 0;
  // True when the rows of both members are read in one snapshot.
  virtual bool SharesRows(MemberId one, MemberId other) const = 0;
  // What is read from now on sees every commit up to now.
  virtual void BeginAnew() = 0;
};

struct SettledMember {
  std::optional<Member> member;
  std::optional<MemberId> heir;  // a move out of it is committed and not finished: what it gave is there
};

// The member as callers may see it: one whose mark says that it gives is, once the other end has committed, what it
// will be when its own row says so too. Reads never write, and never wait for a move.
//
// The other end's mark says that it committed, and goes only after the giver's own has gone. So a giver that is found
// to bear its mark still, after the taker was found without one, had not given anything when the taker was read.
Result<SettledMember> ReadSettled(MemberId id, MemberSource& source);

}  // namespace muster
