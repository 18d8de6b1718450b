#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster {

// What a caller may do. The words are the API's; `ScopeName` and `ParseScope` translate.
enum class Scope : std::uint16_t {
  kMembersRead = 1 << 0,    // members.read: get, resolve, batch, history
  kMembersWrite = 1 << 1,   // members.write: register, update, bind, unbind, close
  kPersonalRead = 1 << 2,   // personal.read: personal values in clear instead of masked
  kMembersImport = 1 << 3,  // members.import: give ids, versions, times; import and export
  kAdmin = 1 << 4,          // admin: callers, routes, the admin port
};
std::string_view ScopeName(Scope scope);
std::optional<Scope> ParseScope(std::string_view name);
const std::vector<Scope>& AllScopes();

// The words in the order of the enumeration, each once. INVALID_ARGUMENT for a word that is none, with the nearest that
// is, and for an empty list.
Result<std::vector<std::string>> CheckScopes(const std::vector<std::string>& names);

}  // namespace muster
