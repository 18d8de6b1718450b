#pragma once

#include "base/result.h"
#include "base/task.h"
#include "domain/ids.h"
#include "domain/member.h"
#include "domain/ports/write_context.h"

namespace muster {

// Changes two members at once. Thread-safe. Each verb is a protocol of one or more transactions (store/merge.h); its
// answer means durable, and its errors are those of MemberWriter. There is one implementation, whose tests are its
// suite (store/merge_test.cc).
class MemberMerger {
 public:
  virtual ~MemberMerger() = default;

  // Moves all that `source` holds to `id`, and makes it MERGED into it; answers `id`. Of a source that is merged into
  // it already nothing changes. `dry_run` answers what would be, and changes nothing, nor is that answer kept. Also
  // LIMIT_EXCEEDED.
  virtual Task<Result<Member>> Merge(MemberId id, MemberId source, bool dry_run, WriteContext context) = 0;
  // Takes that back: `source` is ACTIVE again and gets what it brought, as far as `id` has held it ever since; answers
  // `source`. Conditions of the context are about `id`, for both.
  virtual Task<Result<Member>> Unmerge(MemberId id, MemberId source, bool dry_run, WriteContext context) = 0;
};

}  // namespace muster
