#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace muster::redis {

// What a server says of itself (INFO).
struct ServerFacts {
  // Of this process and of the history that it continues: another one after a restart, and after each fail-over. Two
  // connections to one identity see one data set, of which nothing was lost between them but by who deletes keys.
  // (run_id is new with each process; master_replid with each promotion, also of a process that was a primary before.)
  std::string identity;
  bool is_primary = false;
  bool is_cluster = false;
  std::string policy;            // maxmemory-policy
  std::uint64_t memory_max = 0;  // bytes; 0: no bound
  std::uint64_t memory_used = 0;

  // Whether what has no time to live stays: floors and markers have none.
  bool KeepsFloors() const { return policy == "noeviction" || policy.starts_with("volatile-"); }
};

inline constexpr std::size_t kIdentityBytes = 40;

// Of the text of `INFO server memory replication cluster`; empty: a field is missing.
std::optional<ServerFacts> ParseServerFacts(std::string_view info);

}  // namespace muster::redis
