#pragma once

#include <set>
#include <string>

#include "domain/member.h"
#include "store/doctor_report.h"
#include "store/settled_member.h"
#include "store/sqlite_database.h"

namespace muster {

// What the doctor says of moves that are under way: marks of members, compared with the other end and with the table by
// which the sweeper finds them.
class MoveExamination {
 public:
  // `rows` are all of one moment, as nobody writes.
  MoveExamination(MemberSource& rows, DoctorReport& report) : rows_(rows), report_(report) {}

  // The member as callers see it, which is what the rest is compared with.
  Result<Member> Examine(Member member);
  // Whether a lookup row that leads to `owner` is right for `member`, which lists the key too: it has got it from
  // there, and the row is yet to be passed on.
  static bool IsPassingOn(const Member& owner, const Member& member, const IdentityKey& key);
  // After all members of a file.
  Result<void> CheckIndex(Database& database);

 private:
  static std::size_t GivenBySize(const Member& member);

  MemberSource& rows_;
  DoctorReport& report_;
  std::set<MemberId> marked_;  // of the file that is being examined
};

}  // namespace muster
