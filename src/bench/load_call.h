#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/pii.h"
#include "domain/ids.h"

namespace muster {

// What a benchmark can ask a server to do.
enum class LoadVerb : std::uint8_t { kGet, kResolve, kUpdate, kBatchGet, kRegister };
inline constexpr std::size_t kVerbCount = 5;
inline constexpr std::array<LoadVerb, kVerbCount> kAllVerbs = {LoadVerb::kGet, LoadVerb::kResolve, LoadVerb::kUpdate,
                                                               LoadVerb::kBatchGet, LoadVerb::kRegister};

// As users write it: "get", "resolve", "update", "batchGet", "register".
std::string_view VerbName(LoadVerb verb);

struct IdentityView {
  std::string_view kind;
  std::string_view platform;  // empty: none
  Pii<std::string_view> value;
};

// One request by its meaning; a transport makes bytes of it. What it points at stays valid until Send returns.
struct LoadCall {
  LoadVerb verb = LoadVerb::kGet;
  std::span<const MemberId> ids = {};  // of get and update one, of batchGet all
  IdentityView identity = {};          // of resolve
  std::string_view city = {};          // of update and register
  // Of register: an account that nobody else has.
  std::string_view account = {};
};

}  // namespace muster
