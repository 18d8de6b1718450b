#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "domain/json_writer.h"
#include "topology/database_groups.h"
#include "topology/topology_json.h"

// The part of topology_codec.h that tells of databases and failovers.
namespace muster {

void WriteGroup(JsonWriter& json, const GroupRecord& group);
void WriteShardMove(JsonWriter& json, const ShardMoveRecord& move);
void WriteJournal(JsonWriter& json, const FailoverJournal& journal);
void WriteOutcome(JsonWriter& json, const FailoverOutcome& outcome);

// Each appends one. What a group says has to fit itself and `centers`: its primary and its ackers are of its databases.
Result<void> ReadGroup(const StrictJson& json, StrictJson::Value& value, const std::vector<std::string>& centers,
                       std::vector<GroupRecord>& groups);
// Between two of these groups, which stand before it.
Result<void> ReadShardMove(const StrictJson& json, StrictJson::Value& value, const std::vector<GroupRecord>& groups,
                           std::optional<ShardMoveRecord>& move);
// Of these groups, which stand before it: each of them once, in their order.
Result<void> ReadJournal(const StrictJson& json, StrictJson::Value& value, const std::vector<std::string>& centers,
                         const std::vector<GroupRecord>& groups, std::optional<FailoverJournal>& journal);
Result<void> ReadOutcome(const StrictJson& json, StrictJson::Value& value, std::vector<FailoverOutcome>& outcomes);

}  // namespace muster
