#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/json_reader.h"
#include "base/clock.h"
#include "base/result.h"
#include "domain/freshness_report.h"
#include "domain/json_writer.h"
#include "domain/ports/member_reader.h"
#include "topology/failover/failover_operator.h"
#include "topology/shard_move.h"
#include "topology/topology.h"
#include "traffic/callers.h"

namespace muster {

// The bodies of the admin API, read as strictly as those of the member API. Names, scopes and times are the caller
// directory's to judge.

Result<NewCaller> ReadNewCaller(JsonReader& reader, std::string_view json);
// Refuses a body that names nothing to change.
Result<CallerChange> ReadCallerChange(JsonReader& reader, std::string_view json);

inline constexpr Duration kOverlapDefault = std::chrono::days(1);
struct RotationBody {
  Duration overlap = kOverlapDefault;
  Duration key_lifetime{0};
};
// An empty body is one without fields.
Result<RotationBody> ReadRotationBody(JsonReader& reader, std::string_view json);

// How many lines a file that is imported may have.
inline constexpr std::int64_t kImportFileLinesMax = 100'000'000;
// {"lines":N}
Result<std::uint64_t> ReadReservationBody(JsonReader& reader, std::string_view json);

void WriteNewKey(JsonWriter& json, const NewKey& key);
void WriteCaller(JsonWriter& json, const CallerRecord& caller);
void WriteCallers(JsonWriter& json, const std::vector<CallerRecord>& callers);

// What moves the right to write: of failover, and of switchover, which gives nothing up.
struct MoveBody {
  failover::FailoverRequest request = {};
  bool dry_run = false;
};
Result<MoveBody> ReadMoveBody(JsonReader& reader, std::string_view json, FailoverKind kind);
struct RebuildBody {
  std::string database = {};
  bool dry_run = false;
};
Result<RebuildBody> ReadRebuildBody(JsonReader& reader, std::string_view json);

void WriteFreshness(JsonWriter& json, const FreshnessReport& report);
// {"shards":"0-127","from":"g1","to":"g2","dryRun":true} or {"undo":true}
struct ShardMoveBody {
  ShardMoveRequest request = {};
  bool dry_run = false;
  bool undo = false;
};
Result<ShardMoveBody> ReadShardMoveBody(JsonReader& reader, std::string_view json);
void WriteShardMovePlan(JsonWriter& json, const ShardMovePlan& plan);
// The one under way.
void WriteShardMoveStatus(JsonWriter& json, const TopologyDocument& document);

void WriteTopologyStatus(JsonWriter& json, const failover::FailoverStatus& status);
void WritePlan(JsonWriter& json, const failover::FailoverPlan& plan);

void WriteRoutes(JsonWriter& json, const RouteDescription& route);

}  // namespace muster
