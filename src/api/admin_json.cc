#include "api/admin_json.h"

#include <array>
#include <optional>

#include "api/member_fields.h"
#include "api/query.h"

namespace muster {

namespace {

constexpr std::size_t kScopesMax = 16;

// A duration as proto3's JSON mapping writes it, in whole seconds: "3600s".
void ReadSeconds(JsonValue value, const FieldPath& path, JsonFaults& faults, Duration& duration) {
  constexpr std::int64_t kSecondsMax = std::int64_t{100} * 366 * 86'400;
  std::string_view text;
  if (!ReadText(value, path, faults, text)) return;
  std::optional<std::int64_t> seconds;
  if (text.ends_with('s')) seconds = ParseDecimal(text.substr(0, text.size() - 1));
  if (!seconds || *seconds > kSecondsMax) {
    faults.Add(path, "must be whole seconds of at most 100 years, as in \"3600s\"");
    return;
  }
  duration = std::chrono::seconds(*seconds);
}

// A key that does not end is one without a lifetime: zero is a mistake.
void ReadKeyLifetime(JsonValue value, const FieldPath& path, JsonFaults& faults, Duration& lifetime) {
  Duration given(-1);
  ReadSeconds(value, path, faults, given);
  if (given == Duration::zero()) {
    faults.Add(path, "must be at least \"1s\"; leave it out for a key that does not end");
  } else if (given > Duration::zero()) {
    lifetime = given;
  }
}

void ReadWords(JsonValue value, const FieldPath& path, JsonFaults& faults, std::vector<std::string>& words) {
  JsonList list(value, path, kScopesMax, faults);
  JsonValue element;
  for (std::size_t i = 0; list.Next(element); ++i) {
    std::string word;
    if (ReadText(element, path.Element(i), faults, word)) words.push_back(std::move(word));
  }
}

}  // namespace

Result<NewCaller> ReadNewCaller(JsonReader& reader, std::string_view json) {
  static constexpr std::array<std::string_view, 5> kFields = {"name", "purpose", "scopes", "keyLifetime",
                                                              "idempotencyKeyRequired"};
  MUSTER_ASSIGN(const JsonValue value, reader.Parse(json));
  JsonFaults faults;
  JsonObject object(value, kRoot, kFields, faults);
  NewCaller caller;
  JsonValue field;
  for (int index = object.Next(field); index != JsonObject::kEnd; index = object.Next(field)) {
    const FieldPath place = kRoot.Field(kFields[static_cast<std::size_t>(index)]);
    if (index == 0) ReadText(field, place, faults, caller.name);
    if (index == 1) ReadText(field, place, faults, caller.purpose);
    if (index == 2) ReadWords(field, place, faults, caller.scopes);
    if (index == 3) ReadKeyLifetime(field, place, faults, caller.key_lifetime);
    if (index == 4) ReadBoolean(field, place, faults, caller.idempotency_key_required);
  }
  if (faults.any()) return Fail(faults.Take());
  return caller;
}

Result<CallerChange> ReadCallerChange(JsonReader& reader, std::string_view json) {
  static constexpr std::array<std::string_view, 1> kFields = {"idempotencyKeyRequired"};
  MUSTER_ASSIGN(const JsonValue value, reader.Parse(json));
  JsonFaults faults;
  JsonObject object(value, kRoot, kFields, faults);
  const FieldPath place = kRoot.Field(kFields[0]);
  CallerChange change;
  JsonValue field;
  while (object.Next(field) != JsonObject::kEnd) {
    ReadBoolean(field, place, faults, change.idempotency_key_required.emplace());
  }
  if (!change.idempotency_key_required && !faults.any()) faults.Add(place, "is required: true or false");
  if (faults.any()) return Fail(faults.Take());
  return change;
}

Result<RotationBody> ReadRotationBody(JsonReader& reader, std::string_view json) {
  static constexpr std::array<std::string_view, 2> kFields = {"overlap", "keyLifetime"};
  RotationBody body;
  if (json.empty()) return body;
  MUSTER_ASSIGN(const JsonValue value, reader.Parse(json));
  JsonFaults faults;
  JsonObject object(value, kRoot, kFields, faults);
  JsonValue field;
  for (int index = object.Next(field); index != JsonObject::kEnd; index = object.Next(field)) {
    const FieldPath place = kRoot.Field(kFields[static_cast<std::size_t>(index)]);
    if (index == 0) ReadSeconds(field, place, faults, body.overlap);
    if (index == 1) ReadKeyLifetime(field, place, faults, body.key_lifetime);
  }
  if (faults.any()) return Fail(faults.Take());
  return body;
}

Result<std::uint64_t> ReadReservationBody(JsonReader& reader, std::string_view json) {
  static constexpr std::array<std::string_view, 1> kFields = {"lines"};
  MUSTER_ASSIGN(const JsonValue value, reader.Parse(json));
  JsonFaults faults;
  JsonObject object(value, kRoot, kFields, faults);
  const FieldPath place = kRoot.Field(kFields[0]);
  std::int64_t lines = 0;
  JsonValue field;
  while (object.Next(field) != JsonObject::kEnd) ReadInteger(field, place, 1, kImportFileLinesMax, faults, lines);
  if (lines == 0 && !faults.any()) faults.Add(place, "is required: how many lines the file has");
  if (faults.any()) return Fail(faults.Take());
  return static_cast<std::uint64_t>(lines);
}

void WriteNewKey(JsonWriter& json, const NewKey& key) {
  json.BeginObject();
  json.Key("key").String(key.text);
  json.Key("keyId").String(key.id);
  json.EndObject();
}

void WriteCaller(JsonWriter& json, const CallerRecord& caller) {
  json.BeginObject();
  json.Key("name").String(caller.name);
  json.Key("purpose").String(caller.purpose);
  json.Key("scopes").BeginArray();
  for (const std::string& scope : caller.scopes) json.String(scope);
  json.EndArray();
  json.Key("disabled").Bool(caller.disabled);
  json.Key("createTime").Time(caller.create_time);
  json.Key("keys").BeginArray();
  for (const CallerRecord::Key& key : caller.keys) {
    json.BeginObject();
    json.Key("id").String(key.id);
    json.Key("createTime").Time(key.create_time);
    if (key.expire_time != Timestamp{}) json.Key("expireTime").Time(key.expire_time);
    json.EndObject();
  }
  json.EndArray();
  json.Key("idempotencyKeyRequired").Bool(caller.idempotency_key_required);
  json.EndObject();
}

void WriteCallers(JsonWriter& json, const std::vector<CallerRecord>& callers) {
  json.BeginObject();
  json.Key("callers").BeginArray();
  for (const CallerRecord& caller : callers) WriteCaller(json, caller);
  json.EndArray();
  json.EndObject();
}

void WriteRoutes(JsonWriter& json, const RouteDescription& route) {
  json.BeginObject();
  json.Key("name").String(route.name);
  json.Key("policy").String(route.policy);
  json.Key("counters").BeginObject();
  for (const auto& [name, count] : route.counters) json.Key(name).Number64(static_cast<std::int64_t>(count));
  json.EndObject();
  json.Key("children").BeginArray();
  for (const RouteDescription& child : route.children) WriteRoutes(json, child);
  json.EndArray();
  json.EndObject();
}

}  // namespace muster
