#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "app/cli/exit_code.h"
#include "app/cli/terminal.h"

namespace muster {

// Answers of /admin/v1/topology as a person reads them.
Outcome<std::string> RenderTopologyStatus(const Terminal& terminal, std::string_view json);
Outcome<std::string> RenderFailoverPlan(const Terminal& terminal, std::string_view json);
Outcome<std::string> RenderShardMovePlan(const Terminal& terminal, std::string_view json);
// Of /admin/v1/topology:freshness.
Outcome<std::string> RenderFreshness(const Terminal& terminal, std::string_view json);

// How the cause of a failback begins, so that it is not taken back by the next one.
inline constexpr std::string_view kFailbackCause = "failback";

// What `muster topology failback`, `drain` and whoever waits for an end go by.
struct TopologyFacts {
  std::string writer;  // empty: a failover is under way
  std::vector<std::string> centers;
  // The center from which the one that writes took over, unless that was a failback; empty: there is none.
  std::string last_from;
  bool last_was_undone = false;
  bool shards_move = false;
  std::map<std::string, std::string> shards = {};  // by group
  std::int64_t revision = 0;
};
// Of an answer of :moveShards the revision alone is there.
Outcome<TopologyFacts> ReadTopologyFacts(std::string_view json);

// What `muster topology show --until` waits for: "whole", "attention", or "writes:CENTER".
struct TopologyGoal {
  enum class Kind : std::uint8_t { kWhole, kAttention, kWriter };
  Kind kind = Kind::kWhole;
  std::string center = {};  // kWriter
};
Outcome<TopologyGoal> ParseTopologyGoal(std::string_view text);
// What is not yet as it is to be, in words; empty: it is reached.
Outcome<std::string> MissingForGoal(const TopologyGoal& goal, std::string_view json);

// How the rebuild of a database is.
struct RebuildFacts {
  bool is_under_way = false;
  std::string failure;  // of the last one; empty: it did not fail
};
Outcome<RebuildFacts> ReadRebuildFacts(std::string_view json, std::string_view database);

}  // namespace muster
