#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "domain/ids.h"

namespace muster {

// What makes a request that is sent again be done once.
struct Idempotency {
  RequestHash key;          // of the caller, in its first bytes (OwnerOf), and the key that it chose
  RequestHash fingerprint;  // of what it asks for
  // Of a member that is to be: a repetition looks for the answer in the database where the shard of `key` lives.
  bool is_at_key = false;
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

}  // namespace muster
