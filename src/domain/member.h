#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/pii.h"
#include "domain/ids.h"

namespace muster {

//            register / import
//                  │
//                  ▼      freeze          merge (as source)
//    CLOSED ◄── ACTIVE ◄────────► FROZEN ─────────────► MERGED
//       ▲          │    unfreeze     │       ▲             │
//       └──────────┼─── close ───────┘       │             │
//                  └─────────────────────────┴── unmerge ◄─┘
// CLOSED is final. Legal steps are in member_rules.h.
enum class MemberState : std::uint8_t { kActive = 1, kFrozen = 2, kMerged = 3, kClosed = 4 };

enum class Gender : std::uint8_t { kUnspecified = 0, kFemale = 1, kMale = 2, kOther = 3 };

enum class IdentityState : std::uint8_t { kBound = 1, kQuarantined = 2 };

// One identifier of a person, held by a member. `value` is normalised.
struct Identity {
  std::string kind;      // "phone", "unionid", … as declared in the catalog
  std::string platform;  // empty for kinds that are global
  Pii<std::string> value;
  IdentityKey key;
  IdentityState state = IdentityState::kBound;
  bool verified = false;
  Timestamp bind_time{};
  std::string source;      // who says so: a system's or a channel's name; free text, not personal
  OperationId bound_by{};  // the operation that bound it; unbinding frees the lookup row of exactly this one

  friend bool operator==(const Identity&, const Identity&) = default;
};

// A member at one version: the only truth. Fields marked * are personal.
struct Member {
  MemberId id;
  Version version{1};
  MemberState state = MemberState::kActive;
  std::string display_name;
  Pii<std::string> real_name;  // *
  Gender gender = Gender::kUnspecified;
  std::string birth_date;  // "YYYY-MM-DD" or empty
  std::string city;
  std::string tier;
  std::vector<std::string> tags;
  std::map<std::string, std::string> attributes;
  std::vector<Identity> identities;
  Timestamp create_time{};
  Timestamp update_time{};
  MemberId merged_into{};    // set when MERGED
  OperationId created_by{};  // the operation that registered it; a repeated registration by the same one succeeds

  friend bool operator==(const Member&, const Member&) = default;
};

inline const Identity* FindIdentity(const Member& member, const IdentityKey& key) {
  for (const Identity& identity : member.identities) {
    if (identity.key == key) return &identity;
  }
  return nullptr;
}

}  // namespace muster
