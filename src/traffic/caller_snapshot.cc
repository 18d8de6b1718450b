#include "traffic/caller_snapshot.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/encoding.h"

namespace muster {

// Under the installation's hash key identities are hashed in three parts, and the only others of four (page tokens)
// begin with another word: no other hash can be a caller's.
CallerKeyHash HashCallerKey(KeyedHash& hash, const CallerKeyParts& parts) {
  const std::array<std::string_view, 4> message = {"muster", "caller key", parts.id, parts.secret};
  return hash.Hash(message);
}

std::shared_ptr<const CallerSnapshot> MakeCallerSnapshot(const TopologyDocument& document) {
  auto snapshot = std::make_shared<CallerSnapshot>();
  for (const CallerRecord& record : document.callers) {
    Caller caller{.name = record.name, .idempotency_key_required = record.idempotency_key_required};
    for (const std::string& name : record.scopes) {
      // A word that a newer muster knows grants nothing here.
      if (const auto scope = ParseScope(name)) caller.scopes |= static_cast<std::uint16_t>(*scope);
    }
    const auto shared = std::make_shared<const Caller>(std::move(caller));
    for (const CallerRecord::Key& key : record.keys) {
      const auto bytes = FromHex(key.hash_hex);
      if (!bytes || bytes->size() != CallerKeyHash{}.size()) continue;  // opens nothing
      CallerSnapshot::Entry entry{.caller = shared, .expire_time = key.expire_time, .disabled = record.disabled};
      std::ranges::copy(*bytes, entry.hash.begin());
      snapshot->keys.emplace(key.id, std::move(entry));
    }
  }
  return snapshot;
}

}  // namespace muster
