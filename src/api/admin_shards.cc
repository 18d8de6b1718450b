#include <array>

#include "api/admin_handler.h"
#include "api/admin_json.h"
#include "api/member_fields.h"

namespace muster {

Result<ShardMoveBody> ReadShardMoveBody(JsonReader& reader, std::string_view json) {
  static constexpr std::array<std::string_view, 5> kFields = {"shards", "from", "to", "dryRun", "undo"};
  ShardMoveBody body;
  MUSTER_ASSIGN(const JsonValue value, reader.Parse(json));
  JsonFaults faults;
  JsonObject object(value, kRoot, kFields, faults);
  JsonValue field;
  std::string shards;
  for (int index = object.Next(field); index != JsonObject::kEnd; index = object.Next(field)) {
    const FieldPath place = kRoot.Field(kFields[static_cast<std::size_t>(index)]);
    if (index == 0 && ReadText(field, place, faults, shards)) {
      if (auto parsed = ParseShards(shards)) {
        body.request.shards = *parsed;
      } else {
        faults.Add(place, parsed.error().message);
      }
    }
    if (index == 1) ReadText(field, place, faults, body.request.from);
    if (index == 2) ReadText(field, place, faults, body.request.to);
    if (index == 3) ReadBoolean(field, place, faults, body.dry_run);
    if (index == 4) ReadBoolean(field, place, faults, body.undo);
  }
  const bool names_shards = body.request.shards.any() || !body.request.from.empty() || !body.request.to.empty();
  if (body.undo && names_shards) faults.Add(kRoot.Field("undo"), "is of the move under way, and names no shards");
  if (faults.any()) return Fail(faults.Take());
  return body;
}

void WriteShardMovePlan(JsonWriter& json, const ShardMovePlan& plan) {
  json.BeginObject();
  json.Key("from").String(plan.request.from);
  json.Key("to").String(plan.request.to);
  json.Key("shards").String(ShardsText(plan.request.shards));
  json.Key("steps").BeginArray();
  for (const std::string& step : plan.steps) json.String(step);
  json.EndArray();
  if (plan.revision != 0) json.Key("revision").Number64(plan.revision);
  json.EndObject();
}

void WriteShardMoveStatus(JsonWriter& json, const TopologyDocument& document) {
  const ShardMoveRecord& move = *document.shard_move;
  const GroupRecord* const to = document.FindGroup(move.to);
  json.BeginObject();
  json.Key("from").String(move.from);
  json.Key("to").String(move.to);
  json.Key("shards").String(ShardsText(move.shards));
  json.Key("moved").String(to == nullptr ? "" : ShardsText(move.shards & to->shards));
  json.Key("batch").String(ShardsText(move.batch));
  json.Key("step").String(NameOf(move.step));
  json.Key("stops").Bool(move.stops);
  json.Key("mover").String(move.mover);
  json.Key("beginTime").Time(move.begin_time);
  json.EndObject();
}

Result<void> AdminHandler::MoveShards(Call& call, const Input& input) {
  MUSTER_TRY(Admit(call, input, Scope::kAdmin));
  MUSTER_ASSIGN(const ShardMoveBody move, ReadShardMoveBody(json_.reader(), input.request.body));
  MUSTER_TRY(RequireCenters());
  ShardMovePlan plan;
  const auto act = [&](TopologyDocument& document) -> Result<void> {
    if (move.undo) {
      MUSTER_TRY(StopShardMove(document));
      plan = PlanOfStop(document);
      return {};
    }
    MUSTER_ASSIGN(plan, PlanShardMove(move.request, document));
    return BeginShardMove(move.request, clock_.Now(), document);
  };
  if (move.dry_run) {
    MUSTER_ASSIGN(const auto document, admin_.topology->Read());
    TopologyDocument tried = *document;
    MUSTER_TRY(act(tried));
  } else {
    MUSTER_ASSIGN(const auto changed, admin_.topology->Update(act));
    plan.revision = changed->revision;
  }
  std::string& body = calls_.StartBody();
  JsonWriter json(body);
  WriteShardMovePlan(json, plan);
  calls_.StartHead(call);
  calls_.Answer(call, 200, "application/json", body);
  return {};
}

}  // namespace muster
