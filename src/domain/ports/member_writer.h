#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "domain/ids.h"
#include "domain/member.h"

namespace muster {

// What makes a request that is sent again be done once.
struct Idempotency {
  RequestHash key;          // of the caller and the key that it chose
  RequestHash fingerprint;  // of what it asks for
  // Set to true when the answer is that of an earlier request; lives until the answer is there.
  bool* replayed = nullptr;
};

// On whose behalf a write happens, and under which conditions.
struct WriteContext {
  std::string caller;  // the caller account's name, for the history
  std::string request_id;
  Deadline deadline = {};
  std::optional<Version> expected_version = {};  // If-Match
  // Set when the same attempt may come twice (an import that is run again): the second one finds what the first one
  // did.
  std::optional<OperationId> operation_id = {};
  // The answer is kept with the write, and given again to the same key for the same member. IDEMPOTENCY_MISMATCH: the
  // key came with other content. (A key that comes again for another member whose rows lie elsewhere is not noticed.)
  std::optional<Idempotency> idempotency = {};
};

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
// member as committed; the answer means durable. Identities arrive normalised, with their keys.
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

  // Moves all that `source` holds to `id`, and makes it MERGED into it; answers `id`. Of a source that is merged into
  // it already nothing changes. `dry_run` answers what would be, and changes nothing, nor is that answer kept. Also
  // LIMIT_EXCEEDED.
  virtual Task<Result<Member>> Merge(MemberId id, MemberId source, bool dry_run, WriteContext context) = 0;
  // Takes that back: `source` is ACTIVE again and gets what it brought, as far as `id` has held it ever since; answers
  // `source`. Conditions of the context are about `id`, for both.
  virtual Task<Result<Member>> Unmerge(MemberId id, MemberId source, bool dry_run, WriteContext context) = 0;
};

}  // namespace muster
