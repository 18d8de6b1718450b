#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "domain/keyring.h"
#include "topology/topology.h"

namespace muster {

// What a caller may do. The words are the API's; `ScopeName` and `ParseScope` translate.
enum class Scope : std::uint16_t {
  kMembersRead = 1 << 0,   // members.read: get, resolve, batch, history
  kMembersWrite = 1 << 1,  // members.write: register, update, bind, unbind, close
  kPersonalRead = 1 << 2,  // personal.read: personal values in clear instead of masked
  kMembersImport = 1 << 3, // members.import: give ids, versions, times; import and export
  kAdmin = 1 << 4,         // admin: callers, routes, the admin port
};
std::string_view ScopeName(Scope scope);
std::optional<Scope> ParseScope(std::string_view name);
const std::vector<Scope>& AllScopes();

// An authenticated caller; immutable.
struct Caller {
  std::string name;
  std::uint16_t scopes = 0;
  bool Has(Scope scope) const { return (scopes & static_cast<std::uint16_t>(scope)) != 0; }
};

// A key is shown once, when it is made: mk_<8 id><32 secret><6 checksum>, base62. The checksum lets a mistyped or truncated key
// be told from an unknown one without a look-up, and lets scanners find leaked keys.
struct NewKey {
  std::string text;
  std::string id;
};

// Who calls, by key. Reads an immutable snapshot of the topology's callers, so it is lock-free on the hot path; Refresh
// replaces the snapshot. Thread-safe.
class CallerDirectory {
 public:
  virtual ~CallerDirectory() = default;

  // `authorization` is the header's value. UNAUTHENTICATED: missing, malformed, unknown, expired, disabled; the message never
  // repeats the key. Known keys cost well under a microsecond (a bounded memo for each thread); comparison is constant-time.
  virtual Result<std::shared_ptr<const Caller>> Authenticate(std::string_view authorization) = 0;

  virtual Result<NewKey> Create(std::string_view name, std::string_view purpose, const std::vector<std::string>& scopes,
                                Duration key_lifetime) = 0;  // zero: never expires. STATE_CONFLICT when the name is taken
  // Adds a second key and lets the older ones expire after `overlap`.
  virtual Result<NewKey> Rotate(std::string_view name, Duration overlap, Duration key_lifetime) = 0;
  virtual Result<void> SetDisabled(std::string_view name, bool disabled) = 0;
  virtual Result<std::vector<CallerRecord>> List() = 0;
  virtual Result<void> Refresh() = 0;
};

std::unique_ptr<CallerDirectory> MakeCallerDirectory(TopologyStore& topology, const Keyring& keyring, const Clock& clock,
                                                     Random& random);

}  // namespace muster
