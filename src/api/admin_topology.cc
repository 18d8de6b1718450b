#include <array>
#include <chrono>

#include "api/admin_handler.h"
#include "api/admin_json.h"
#include "api/member_fields.h"
#include "topology/shard_map.h"

namespace muster {
namespace {

using failover::CenterHealth;
using failover::DatabaseSight;
using failover::FailoverPlan;
using failover::FailoverStatus;

constexpr std::size_t kCauseBytesMax = 256;
// A look that old still says that a database answers: several have been missed.
constexpr Duration kUpWithin = std::chrono::milliseconds(700);

std::string_view NameOf(CenterHealth health) {
  switch (health) {
    case CenterHealth::kWell:
      return "well";
    case CenterHealth::kSuspected:
      return "suspected";
    case CenterHealth::kDisputed:
      return "disputed";
    case CenterHealth::kLost:
      return "lost";
  }
  return "";
}

// Empty: it has never answered.
std::string_view StateOf(const DatabaseRecord& database, const DatabaseSight* sight) {
  if (database.is_being_rebuilt()) return "rebuilding";
  if (sight == nullptr) return "";
  const failover::DatabaseState& state = sight->state;
  if (state.fault == failover::ReplicaFault::kDiverged) return "diverged";
  if (state.fault == failover::ReplicaFault::kBroken) return "broken";
  if (state.is_writable) return "writing";
  return state.receives && state.is_connected && state.applies ? "following" : "stopped";
}

void WriteTexts(JsonWriter& json, std::string_view key, const std::vector<std::string>& texts) {
  json.Key(key).BeginArray();
  for (const std::string& text : texts) json.String(text);
  json.EndArray();
}

void WriteDatabase(JsonWriter& json, const FailoverStatus& status, const GroupRecord& group,
                   const DatabaseRecord& database) {
  const AckerRecord* const acker = group.FindAcker(database.name);
  const auto found = status.databases.find(database.name);
  const DatabaseSight* const sight =
      found == status.databases.end() || found->second.looked_at == Instant::min() ? nullptr : &found->second;
  json.BeginObject();
  json.Key("name").String(database.name);
  json.Key("center").String(database.center);
  json.Key("address").String(database.address);
  json.Key("role").String(database.name == group.primary ? "primary" : "replica");
  json.Key("acker").String(acker == nullptr ? "" : muster::NameOf(acker->state));
  json.Key("isUp").Bool(sight != nullptr && status.now - sight->looked_at <= kUpWithin);
  json.Key("state").String(StateOf(database, sight));
  if (database.rebuild && !database.is_being_rebuilt()) json.Key("rebuildFailure").String(database.rebuild->failure);
  json.EndObject();
}

void WriteGroup(JsonWriter& json, const FailoverStatus& status, const GroupRecord& group, const ShardSet& shards) {
  json.BeginObject();
  json.Key("name").String(group.name);
  json.Key("durability").String(muster::NameOf(group.durability));
  json.Key("shards").String(ShardsText(shards));
  json.Key("databases").BeginArray();
  for (const DatabaseRecord& database : group.databases) WriteDatabase(json, status, group, database);
  json.EndArray();
  json.EndObject();
}

// Of one under way, and of one that has ended.
template <typename Record>
void WriteFailoverHead(JsonWriter& json, const Record& record) {
  json.Key("kind").String(muster::NameOf(record.kind));
  json.Key("from").String(record.from);
  json.Key("to").String(record.to);
  json.Key("cause").String(record.cause);
  json.Key("byOperator").Bool(record.by_operator);
  json.Key("beginTime").Time(record.begin_time);
}

void WriteJournal(JsonWriter& json, const FailoverJournal& journal) {
  std::vector<std::string> steps;
  steps.reserve(journal.groups.size());
  for (const GroupProgress& group : journal.groups) {
    steps.push_back(group.group + ": " + std::string(muster::NameOf(group.step)) +
                    (group.chosen.empty() ? "" : " " + group.chosen));
  }
  json.BeginObject();
  WriteFailoverHead(json, journal);
  json.Key("undone").Bool(false);
  WriteTexts(json, "steps", steps);
  json.EndObject();
}

void WriteOutcome(JsonWriter& json, const FailoverOutcome& outcome) {
  json.BeginObject();
  WriteFailoverHead(json, outcome);
  json.Key("endTime").Time(outcome.end_time);
  json.Key("undone").Bool(outcome.undone);
  json.Key("steps").BeginArray();
  json.EndArray();
  json.EndObject();
}

std::int64_t Milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

void WriteTier(JsonWriter& json, const TierFreshness& tier) {
  json.BeginObject();
  json.Key("name").String(tier.name);
  json.Key("center").String(tier.center);
  json.Key("boundMs").Number64(Milliseconds(tier.bound));
  json.Key("samples").Number64(tier.samples);
  json.Key("late").Number64(tier.late);
  json.Key("beyond").Number64(tier.beyond);
  json.Key("unanswered").Number64(tier.unanswered);
  json.Key("latestMs").Number64(Milliseconds(tier.latest));
  json.Key("nines").Double(tier.nines());
  json.EndObject();
}

void WriteLate(JsonWriter& json, const LateSample& late) {
  json.BeginObject();
  json.Key("memberId").Number64(late.member.value());
  json.Key("version").Number64(late.version.value());
  json.Key("tier").String(late.tier);
  json.Key("held").Number64(late.held.value());
  json.Key("acknowledgeTime").Time(late.acknowledged);
  if (late.is_over) json.Key("lateMs").Number64(Milliseconds(late.late));
  json.EndObject();
}

}  // namespace

void WriteFreshness(JsonWriter& json, const FreshnessReport& report) {
  json.BeginObject();
  json.Key("sinceTime").Time(report.since);
  json.Key("samples").Number64(report.samples);
  json.Key("skipped").Number64(report.skipped);
  json.Key("tiers").BeginArray();
  for (const TierFreshness& tier : report.tiers) WriteTier(json, tier);
  json.EndArray();
  json.Key("late").BeginArray();
  for (const LateSample& late : report.late) WriteLate(json, late);
  json.EndArray();
  json.EndObject();
}

Result<MoveBody> ReadMoveBody(JsonReader& reader, std::string_view json, FailoverKind kind) {
  static constexpr std::array<std::string_view, 4> kFields = {"to", "dryRun", "cause", "acceptLoss"};
  MoveBody body{.request = {.kind = kind, .by_operator = true}};
  if (json.empty()) return body;
  MUSTER_ASSIGN(const JsonValue value, reader.Parse(json));
  JsonFaults faults;
  // Only a failover gives anything up.
  const auto known = std::span(kFields).first(kind == FailoverKind::kLoss ? 4 : 3);
  JsonObject object(value, kRoot, known, faults);
  JsonValue field;
  for (int index = object.Next(field); index != JsonObject::kEnd; index = object.Next(field)) {
    const FieldPath place = kRoot.Field(kFields[static_cast<std::size_t>(index)]);
    if (index == 0) ReadText(field, place, faults, body.request.to);
    if (index == 1) ReadBoolean(field, place, faults, body.dry_run);
    if (index == 2 && ReadText(field, place, faults, body.request.cause) &&
        body.request.cause.size() > kCauseBytesMax) {
      faults.Add(place, "has more than 256 bytes");
    }
    if (index == 3) ReadBoolean(field, place, faults, body.request.accepts_loss);
  }
  if (faults.any()) return Fail(faults.Take());
  return body;
}

Result<RebuildBody> ReadRebuildBody(JsonReader& reader, std::string_view json) {
  static constexpr std::array<std::string_view, 2> kFields = {"database", "dryRun"};
  MUSTER_ASSIGN(const JsonValue value, reader.Parse(json));
  JsonFaults faults;
  JsonObject object(value, kRoot, kFields, faults);
  RebuildBody body;
  JsonValue field;
  for (int index = object.Next(field); index != JsonObject::kEnd; index = object.Next(field)) {
    const FieldPath place = kRoot.Field(kFields[static_cast<std::size_t>(index)]);
    if (index == 0) ReadText(field, place, faults, body.database);
    if (index == 1) ReadBoolean(field, place, faults, body.dry_run);
  }
  if (body.database.empty() && !faults.any()) {
    faults.Add(kRoot.Field(kFields[0]), "is required: which database becomes a copy of its primary");
  }
  if (faults.any()) return Fail(faults.Take());
  return body;
}

void WriteTopologyStatus(JsonWriter& json, const FailoverStatus& status) {
  const TopologyDocument& document = *status.document;
  json.BeginObject();
  json.Key("revision").Number64(document.revision);
  json.Key("epoch").Number64(document.epoch.value());
  WriteTexts(json, "centers", document.centers);
  json.Key("writer").String(document.writer);
  json.Key("groups").BeginArray();
  const ShardMap shards = ShardMap::Of(document);
  for (std::uint32_t group = 0; group < document.groups.size(); ++group) {
    WriteGroup(json, status, document.groups[group], shards.ShardsOf(group));
  }
  json.EndArray();
  json.Key("caches").BeginArray();
  for (const CacheRecord& cache : document.caches) {
    json.BeginObject();
    json.Key("center").String(cache.center);
    json.Key("mode").String(muster::NameOf(cache.mode));
    json.Key("epoch").Number64(cache.epoch.value());
    json.EndObject();
  }
  json.EndArray();
  if (document.shard_move) {
    json.Key("shardMove");
    WriteShardMoveStatus(json, document);
  }
  if (document.failover) {
    json.Key("failover");
    WriteJournal(json, *document.failover);
  }
  json.Key("failovers").BeginArray();
  for (const FailoverOutcome& outcome : document.failovers) WriteOutcome(json, outcome);
  json.EndArray();
  json.Key("controller").String(status.controller);
  json.Key("health").String(NameOf(status.verdict.health));
  json.Key("cause").String(status.verdict.cause);
  WriteTexts(json, "attention", status.attention);
  json.EndObject();
}

void WritePlan(JsonWriter& json, const FailoverPlan& plan) {
  json.BeginObject();
  json.Key("kind").String(muster::NameOf(plan.kind));
  json.Key("from").String(plan.from);
  json.Key("to").String(plan.to);
  WriteTexts(json, "steps", plan.steps);
  json.Key("refusals").BeginArray();
  for (const failover::RefusalText& refusal : plan.refusals) {
    json.BeginObject();
    json.Key("code").String(failover::NameOf(refusal.refusal));
    json.Key("detail").String(refusal.text);
    json.EndObject();
  }
  json.EndArray();
  WriteTexts(json, "losses", plan.losses);
  json.EndObject();
}

Result<failover::FailoverOperator*> AdminHandler::RequireCenters() const {
  if (admin_.failover != nullptr) return admin_.failover;
  return Fail(Reason::kStateConflict,
              "this server is alone with its data: it has no centers, and nothing to move between them");
}

Result<void> AdminHandler::GetFreshness(Call& call, const Input& input) {
  MUSTER_TRY(Admit(call, input, Scope::kAdmin));
  if (!admin_.freshness) {
    return Fail(Reason::kStateConflict,
                "there are no caches of centers here (cache.redis.centers), so there is nothing that could be late");
  }
  std::string& body = calls_.StartBody();
  JsonWriter json(body);
  WriteFreshness(json, admin_.freshness());
  calls_.StartHead(call);
  calls_.Answer(call, 200, "application/json", body);
  return {};
}

Result<void> AdminHandler::GetTopology(Call& call, const Input& input) {
  MUSTER_TRY(Admit(call, input, Scope::kAdmin));
  MUSTER_ASSIGN(const failover::FailoverOperator* const centers, RequireCenters());
  const FailoverStatus status = centers->Status();
  std::string& body = calls_.StartBody();
  JsonWriter json(body);
  WriteTopologyStatus(json, status);
  calls_.StartHead(call);
  calls_.Answer(call, 200, "application/json", body);
  return {};
}

Result<void> AdminHandler::MoveWriter(Call& call, const Input& input, FailoverKind kind) {
  MUSTER_TRY(Admit(call, input, Scope::kAdmin));
  MUSTER_ASSIGN(const MoveBody move, ReadMoveBody(json_.reader(), input.request.body, kind));
  MUSTER_ASSIGN(failover::FailoverOperator* const centers, RequireCenters());
  FailoverPlan plan;
  const auto document = centers->Status().document;
  if (move.dry_run) {
    plan = centers->Plan(move.request);
  } else if (move.request.accepts_loss && document->failover) {
    // One that waits for databases that do not answer goes on without them.
    MUSTER_TRY(centers->AcceptLoss());
    plan = {.kind = kind, .from = document->failover->from, .to = document->failover->to};
  } else {
    MUSTER_ASSIGN(plan, centers->Act(move.request));
  }
  std::string& body = calls_.StartBody();
  JsonWriter json(body);
  WritePlan(json, plan);
  calls_.StartHead(call);
  calls_.Answer(call, 200, "application/json", body);
  return {};
}

Result<void> AdminHandler::RebuildDatabase(Call& call, const Input& input) {
  MUSTER_TRY(Admit(call, input, Scope::kAdmin));
  MUSTER_ASSIGN(const RebuildBody body, ReadRebuildBody(json_.reader(), input.request.body));
  MUSTER_ASSIGN(failover::FailoverOperator* const centers, RequireCenters());
  MUSTER_TRY(centers->Rebuild(body.database, body.dry_run));
  calls_.StartHead(call);
  calls_.Answer(call, 200, "application/json", "{}");
  return {};
}

}  // namespace muster
