#pragma once

#include <cstdint>
#include <functional>
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
#include "traffic/scopes.h"

namespace muster {

// An authenticated caller; immutable.
struct Caller {
  std::string name;
  std::uint16_t scopes = 0;
  bool idempotency_key_required = false;  // of its writes to members
  bool Has(Scope scope) const { return (scopes & static_cast<std::uint16_t>(scope)) != 0; }
};

// A key is shown once, when it is made; traffic/caller_key.h has its form.
struct NewKey {
  std::string text;
  std::string id;
};

// What an account is made with.
struct NewCaller {
  std::string name = {};     // [a-z][a-z0-9-]{0,62}
  std::string purpose = {};  // what it is for
  std::vector<std::string> scopes = {};
  Duration key_lifetime{0};  // zero: its key never expires
  bool idempotency_key_required = false;
};

// What is changed of an account; absent: stays as it is.
struct CallerChange {
  std::optional<bool> disabled = std::nullopt;
  std::optional<bool> idempotency_key_required = std::nullopt;
};

inline constexpr std::string_view kAdminCaller = "admin";
inline constexpr std::size_t kCallersMax = 10'000;
inline constexpr std::size_t kCallerKeysMax = 4;  // of one caller that have not expired
inline constexpr std::size_t kPurposeBytesMax = 256;
inline constexpr Duration kKeyLifetimeMax = std::chrono::hours(24 * 3660);
inline constexpr Duration kRotationOverlapMax = std::chrono::hours(24 * 90);

// Who calls, by key. Reads an immutable snapshot of the topology's callers, so it is lock-free on the hot path. Knows
// nobody until the first Refresh or EnsureAdmin; its own changes take effect at once, those of other processes at the
// next Refresh. Thread-safe.
class CallerDirectory {
 public:
  virtual ~CallerDirectory() = default;

  // `authorization` is the header's value. UNAUTHENTICATED: missing, malformed, unknown, expired, disabled; the message
  // never repeats the key. Known keys cost about 0.1 µs (a bounded memo for each thread, which holds a keyed digest,
  // not the key); others one HMAC, whose comparison is constant-time whether the key's id exists or not.
  virtual Result<std::shared_ptr<const Caller>> Authenticate(std::string_view authorization) = 0;

  // INVALID_ARGUMENT names the field; STATE_CONFLICT when the name is taken, LIMIT_EXCEEDED.
  virtual Result<NewKey> Create(const NewCaller& caller) = 0;
  // Adds a second key and lets the older ones expire after `overlap` (zero: at once), or earlier if they would anyway.
  // NOT_FOUND, LIMIT_EXCEEDED when too many keys are still valid.
  virtual Result<NewKey> Rotate(std::string_view name, Duration overlap, Duration key_lifetime) = 0;
  // The account as it is then. NOT_FOUND; STATE_CONFLICT when it is to be disabled and nobody else could administrate.
  virtual Result<CallerRecord> Change(std::string_view name, const CallerChange& change) = 0;
  virtual Result<std::vector<CallerRecord>> List() = 0;
  // On an error the snapshot stays as it was.
  virtual Result<void> Refresh() = 0;
  // The same by a document that somebody has read; one that is older than what is known changes nothing. Waits for
  // nobody.
  virtual void Take(const TopologyDocument& document) = 0;

  // Makes the caller `admin` with all scopes unless there is one; true when it was made. `save` gets the key's text
  // before the caller exists, so a crash between the two leaves a useless file, never an account whose key nobody has.
  // An error of `save` makes nothing.
  virtual Result<bool> EnsureAdmin(const std::function<Result<void>(const std::string& key_text)>& save) = 0;
};

// All references must outlive the directory.
std::unique_ptr<CallerDirectory> MakeCallerDirectory(TopologyStore& topology, const Keyring& keyring,
                                                     const Clock& clock, Random& random);

}  // namespace muster
