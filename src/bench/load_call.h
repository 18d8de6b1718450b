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
enum class LoadVerb : std::uint8_t {
  kGet,
  kResolve,
  kUpdate,
  kBatchGet,
  kRegister,
  kBatchResolve,
  kSearch,
  kBind,
  kUnbind,
  kMerge,
  kUnmerge
};
inline constexpr std::size_t kVerbCount = 11;
inline constexpr std::array<LoadVerb, kVerbCount> kAllVerbs = {
    LoadVerb::kGet,      LoadVerb::kResolve,      LoadVerb::kUpdate, LoadVerb::kBatchGet,
    LoadVerb::kRegister, LoadVerb::kBatchResolve, LoadVerb::kSearch, LoadVerb::kBind,
    LoadVerb::kUnbind,   LoadVerb::kMerge,        LoadVerb::kUnmerge};

// As users write it: "get", "batchGet".
std::string_view VerbName(LoadVerb verb);

struct IdentityView {
  std::string_view kind;
  std::string_view platform;  // empty: none
  Pii<std::string_view> value;
};

// One request by its meaning; a transport makes bytes of it. What it points at stays valid until Send returns.
struct LoadCall {
  LoadVerb verb = LoadVerb::kGet;
  std::span<const MemberId> ids = {};             // one; of batchGet all; of merge and unmerge the survivor, the source
  IdentityView identity = {};                     // of resolve
  std::span<const IdentityView> identities = {};  // of batchResolve
  std::string_view city = {};                     // of update, register and search
  // Of register, bind and unbind: an account that nobody else has.
  std::string_view account = {};
  // Of what is done and undone: which of all.
  std::uint32_t thing = 0;
};

}  // namespace muster
