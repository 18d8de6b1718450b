#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "domain/change.h"
#include "domain/member.h"

namespace muster::sim {

// What one transaction wrote to a member.
struct MemberWrite {
  Member member;
  Change change;
};

// Merges and unmerges for the checker. To the world both members change at one moment, that of the taker's commit,
// wherever their rows are: so the giver's change is told with it, and the giver's own commit, later, must be that.
class MoveWatch {
 public:
  // The first thing that went wrong, if anything did.
  using Fault = std::optional<std::string>;

  // Members whose mark alone changed.
  void Marked(const std::vector<Member>& marks);
  // What becomes true with a commit: without givers' commits of what was told before, with givers of what is taken now,
  // and all without marks.
  std::vector<MemberWrite> Told(const std::vector<MemberWrite>& writes, Fault& fault);

  // A member came to hold an identity in another way than by a move, with a commit.
  void Born(const IdentityKey& key) { births_[key] = ++births_total_; }
  // A merge or unmerge became true. `before` is the giver as it was, `taker` as it is now.
  void Moved(const Member& before, const MemberWrite& taker, Fault& fault);

 private:
  using Brought = std::set<std::pair<IdentityKey, std::uint64_t>>;  // with which of its births

  std::map<OperationId, Member> givers_;  // as they were marked
  std::map<MemberId, Member> expected_;   // givers whose own commit is to come
  std::set<OperationId> taken_;
  std::map<IdentityKey, std::uint64_t> births_;
  std::uint64_t births_total_ = 0;
  std::map<std::pair<MemberId, MemberId>, Brought> brought_;  // by survivor and source
};

}  // namespace muster::sim
