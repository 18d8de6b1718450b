#pragma once

#include <cstdint>
#include <vector>

#include "domain/ids.h"
#include "domain/member.h"

namespace muster {

// Who an identity was last reserved for: a reservation and a hint, not the truth (that is the member's own list).
struct LookupRow {
  MemberId member_id;
  OperationId operation_id;
  friend bool operator==(const LookupRow&, const LookupRow&) = default;
};

enum class OperationOutcome : std::uint8_t { kCommitted = 1, kAborted = 2 };

// What an answered write leaves for a request that is sent again: in the database of its member.
struct KeptAnswer {
  RequestHash fingerprint;
  Member member;  // as it was answered
};

// What merging a source into a target brought; kept in the database of the target until it is taken back.
struct MergeRecord {
  struct Brought {
    IdentityKey key;
    OperationId origin;  // OriginOf; another one: unbound and bound anew since
    friend bool operator==(const Brought&, const Brought&) = default;
  };
  std::vector<Brought> brought;
  friend bool operator==(const MergeRecord&, const MergeRecord&) = default;
};

}  // namespace muster
