#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "domain/ids.h"
#include "domain/member.h"
#include "domain/ports/write_context.h"

namespace muster {

// A new value for some fields of a member; fields that are not named stay.
struct MemberPatch {
  // Top-level fields in the API's spelling: displayName, realName, gender, birthDate, city, tier, tags, attributes,
  // state (ACTIVE and FROZEN only).
  std::vector<std::string> fields;
  Member values;
};

// What became of a line of an import.
struct ImportedMember {
  Member member;
  bool was_in = false;  // made before, by the same operation; nothing was written now
};

// Changes members. Thread-safe. Each verb is a protocol of one or more transactions (store/binding.h) and answers the
// member as committed; the answer means durable. Identities arrive normalised, with their keys. There is one
// implementation, whose tests are its suite (store/binding_test.cc).
//
// Errors of all: MEMBER_NOT_FOUND, STATE_CONFLICT, VERSION_MISMATCH, INVALID_ARGUMENT, OVERLOADED, WRITES_UNAVAILABLE
// (nothing was written), OUTCOME_UNKNOWN (it may have been), DEADLINE_EXCEEDED (nothing was written).
class MemberWriter {
 public:
  virtual ~MemberWriter() = default;

  // `member.id` zero: allocate one. Else import: MEMBER_EXISTS unless this very operation had created it.
  // `member.version`, times and state are kept when `imported`, else set here. Also IDENTITY_TAKEN, LIMIT_EXCEEDED.
  virtual Task<Result<Member>> Register(Member member, bool imported, WriteContext context) = 0;
  // Register of an imported member whose `operation_id` is set.
  virtual Task<Result<ImportedMember>> Import(Member member, WriteContext context) = 0;
  virtual Task<Result<Member>> Update(MemberId id, MemberPatch patch, WriteContext context) = 0;
  // Binding what the member already holds succeeds, and changes nothing but `verified` from false to true. Also
  // IDENTITY_TAKEN, LIMIT_EXCEEDED.
  virtual Task<Result<Member>> Bind(MemberId id, Identity identity, WriteContext context) = 0;
  // Also IDENTITY_NOT_FOUND.
  virtual Task<Result<Member>> Unbind(MemberId id, IdentityKey key, WriteContext context) = 0;
  // Frees every identity; final. Closing a closed member changes nothing.
  virtual Task<Result<Member>> Close(MemberId id, WriteContext context) = 0;
};

}  // namespace muster
