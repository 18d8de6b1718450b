#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "domain/ids.h"

namespace muster {

enum class ChangeType : std::uint8_t {
  kRegistered = 1,
  kUpdated = 2,
  kIdentityBound = 3,
  kIdentityUnbound = 4,
  kClosed = 5,
  kMerged = 6,
  kUnmerged = 7,
  kImported = 8,
};

std::string_view ChangeTypeName(ChangeType type);  // "IDENTITY_BOUND", as in the API
std::optional<ChangeType> ParseChangeType(std::string_view name);

// What one committed change did to one member: a row of its history, and an event of the change stream. Holds no
// personal value: identities appear as kind, platform and key.
struct Change {
  struct IdentityRef {
    std::string kind;
    std::string platform;
    IdentityKey key;
    friend bool operator==(const IdentityRef&, const IdentityRef&) = default;
  };

  MemberId member_id;
  Version version;  // the member's version after the change
  ChangeType type = ChangeType::kUpdated;
  Timestamp time{};
  std::string caller;  // the caller account's name
  std::string request_id;
  std::vector<std::string> fields;  // top-level fields that an update changed, in the API's spelling
  // Bound or unbound by it. Of kUpdated with the field "identities": verified by it, and held before as after.
  std::vector<IdentityRef> identities;
  MemberId other_member_id{};  // of kMerged and kUnmerged: the other end

  friend bool operator==(const Change&, const Change&) = default;
};

}  // namespace muster
