#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "domain/keyring.h"

namespace muster {

struct Finding {
  std::string code;     // "LOOKUP_DANGLING"; the closed list is in doctor_findings.h
  bool is_damage;       // false: harmless, repaired by the sweeper or the next write
  std::string subject;  // "member 123", "identity 5f…", "muster-0.db"
  std::string detail;   // what is wrong and what to do; no personal value
};

struct Examination {
  std::uint64_t members = 0, identities = 0, lookups = 0, changes = 0, history = 0;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> members_by_seal_key;  // key id → members sealed with it
  std::uint64_t findings_total = 0;
  std::uint64_t damage_total = 0;  // of them; none: the data is sound
  std::vector<Finding> findings;   // at most 1,000 in the order of discovery; damage before what is harmless
};

// Reads a data directory that no server uses, and compares all with all: every lookup row with its owner and back,
// every identity held once, every key with its value, history and change rows with versions, every table, SQLite's own
// check. Changes nothing, and can read a directory that it cannot write; INTERNAL, saying to copy it, when a
// write-ahead log makes that impossible.
Result<Examination> ExamineStore(const std::string& directory, const Keyring& keyring,
                                 const std::function<void(std::uint64_t done, std::uint64_t total)>& progress);

}  // namespace muster
