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
//                  │        freeze
//    CLOSED ◄── ACTIVE ◄──────────────► FROZEN
//       ▲        │  ▲      unfreeze        │
//       │        │  └─── unmerge ──┐       │
//       │        └─ merge ──► MERGED       │
//       └───────────── close ──────────────┘
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
  OperationId bound_by{};  // the operation that bound or moved it; unbinding frees the lookup row of exactly this one
  OperationId origin{};    // the operation that bound it, when another one moved it since; see OriginOf

  friend bool operator==(const Identity&, const Identity&) = default;
};

// What stays the same however often merges move the identity, and is another after it was unbound and bound anew.
inline OperationId OriginOf(const Identity& identity) {
  return identity.origin == OperationId(0) ? identity.bound_by : identity.origin;
}

// What a member's row says of a merge or unmerge with a member of another database, until the rows of both, and of the
// identities, are as they shall be (store/move_steps.h). For the store alone: callers see the member without it.
struct MoveMark {
  enum class Role : std::uint8_t { kGives = 1, kTakes = 2 };
  enum class Kind : std::uint8_t { kMerge = 1, kUnmerge = 2 };

  Role role = Role::kGives;
  Kind kind = Kind::kMerge;
  OperationId operation_id;
  MemberId other;
  // Of the member that gives only: what it gives, and what its change will tell.
  std::vector<IdentityKey> keys = {};
  Timestamp time{};
  std::string caller = {};
  std::string request_id = {};
  // Of the member that takes only: the version that the other one has since.
  Version other_version{0};

  friend bool operator==(const MoveMark&, const MoveMark&) = default;
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
  std::optional<MoveMark> move = {};

  friend bool operator==(const Member&, const Member&) = default;
};

inline const Identity* FindIdentity(const Member& member, const IdentityKey& key) {
  for (const Identity& identity : member.identities) {
    if (identity.key == key) return &identity;
  }
  return nullptr;
}

}  // namespace muster
