#include "cache/redis/server_facts.h"

#include <charconv>

namespace muster::redis {
namespace {

// The value of a line "name:value\r\n".
std::string_view FieldOf(std::string_view info, std::string_view name) {
  std::size_t at = 0;
  while (at < info.size()) {
    const std::size_t end = info.find('\n', at);
    std::string_view line = info.substr(at, end == std::string_view::npos ? end : end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':') {
      return line.substr(name.size() + 1);
    }
    if (end == std::string_view::npos) break;
    at = end + 1;
  }
  return {};
}

std::uint64_t NumberOf(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

std::optional<ServerFacts> ParseServerFacts(std::string_view info) {
  constexpr std::size_t kHalf = kIdentityBytes / 2;
  const std::string_view run_id = FieldOf(info, "run_id");
  const std::string_view history = FieldOf(info, "master_replid");
  const std::string_view policy = FieldOf(info, "maxmemory_policy");
  const std::string_view role = FieldOf(info, "role");
  if (run_id.size() < kHalf || history.size() < kHalf || policy.empty() || role.empty()) return std::nullopt;
  return ServerFacts{.identity = std::string(run_id.substr(0, kHalf)).append(history.substr(0, kHalf)),
                     .is_primary = role == "master",
                     .is_cluster = FieldOf(info, "cluster_enabled") == "1",
                     .policy = std::string(policy),
                     .memory_max = NumberOf(FieldOf(info, "maxmemory")),
                     .memory_used = NumberOf(FieldOf(info, "used_memory"))};
}

}  // namespace muster::redis
