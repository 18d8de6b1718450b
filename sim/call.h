#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "domain/ids.h"

namespace muster::sim {

// A moment in the order of all commits: how many there had been. A call lasts from one moment to another, and what it
// answers has to be true at one between.
using Moment = std::uint64_t;

enum class Verb : std::uint8_t { kRegister, kUpdate, kBind, kUnbind, kClose, kMerge, kUnmerge, kGet, kResolve };
std::string_view VerbName(Verb verb);

// The key of a call that may be sent again, and what tells its content from others.
struct CallKey {
  RequestHash key;
  RequestHash fingerprint;
};

// One call of a client.
struct Call {
  std::string request_id;
  Verb verb = Verb::kResolve;
  MemberId member_id;  // zero: to be allocated
  MemberId source_id;  // of a merge and an unmerge
  std::vector<IdentityKey> keys;
  bool verified = false;  // of what is bound
  std::optional<Version> expected_version;
  Moment began = 0;
  Duration sent{0};  // when it began, in simulated time
  std::optional<CallKey> idempotency;
  bool replayed = false;  // its answer is said to be an earlier one's
};

std::string NameOf(const Call& call);

}  // namespace muster::sim
