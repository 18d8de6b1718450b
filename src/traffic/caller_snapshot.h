#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "domain/keyring.h"
#include "topology/topology.h"
#include "traffic/caller_key.h"
#include "traffic/callers.h"

namespace muster {

using CallerKeyHash = std::array<std::uint8_t, 32>;

// What is stored of a key.
CallerKeyHash HashCallerKey(KeyedHash& hash, const CallerKeyParts& parts);

// All accounts at one revision of the topology, by the id of their keys. Immutable once made.
struct CallerSnapshot {
  struct Entry {
    CallerKeyHash hash{};
    std::shared_ptr<const Caller> caller;
    Timestamp expire_time{};
    bool disabled = false;
  };
  std::map<std::string, Entry, std::less<>> keys;
};

std::shared_ptr<const CallerSnapshot> MakeCallerSnapshot(const TopologyDocument& document);

}  // namespace muster
