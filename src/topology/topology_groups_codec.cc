#include "topology/topology_groups_codec.h"

#include <algorithm>
#include <string_view>

#include "base/check.h"

namespace muster {
namespace {

const std::vector<std::string_view> kAckerStates = {"joining", "in", "leaving"};
const std::vector<std::string_view> kDurabilities = {"both-centers", "degraded"};
const std::vector<std::string_view> kKinds = {"failover", "switchover"};
const std::vector<std::string_view> kMoveSteps = {"copying", "fenced", "switched", "cleaning", "undoing"};
const std::vector<std::string_view> kSteps = {"fenced", "chosen", "promoted"};

template <typename Enumeration>
Result<void> ReadEnumeration(const StrictJson& json, StrictJson::Value& value, std::string_view name,
                             const std::vector<std::string_view>& words, Enumeration& target) {
  std::size_t index = 0;
  MUSTER_TRY(json.ReadWord(value, name, words, index));
  target = static_cast<Enumeration>(index);
  return {};
}

Result<void> ReadName(const StrictJson& json, StrictJson::Value& value, std::string_view name, std::string& target) {
  const std::size_t offset = json.Offset(value);
  MUSTER_TRY(json.ReadText(value, name, target));
  if (target.empty()) return Fail(json.Wrong(offset, name, "a name"));
  return {};
}

Result<void> ReadShards(const StrictJson& json, StrictJson::Value& value, std::string_view name, ShardSet& shards) {
  const std::size_t offset = json.Offset(value);
  std::string text;
  MUSTER_TRY(json.ReadText(value, name, text));
  const auto read = ParseShards(text);
  if (!read || read->none()) return Fail(json.Wrong(offset, name, "shards, as in \"0-127,200,512-1022/2\""));
  shards = *read;
  return {};
}

// Appended to a list that is sorted by name.
template <typename Record>
Result<void> Append(const StrictJson& json, std::size_t offset, std::string_view list, Record record,
                    std::vector<Record>& records) {
  if (!records.empty() && records.back().name >= record.name) {
    return Fail(json.At(
        offset, std::string(list) + " must be sorted by name, each once: \"" + record.name + "\" is out of place"));
  }
  records.push_back(std::move(record));
  return {};
}

Result<void> ReadRebuild(const StrictJson& json, StrictJson::Value& value, std::optional<RebuildRecord>& rebuild) {
  RebuildRecord& read = rebuild.emplace();
  return json.ReadObject(value, {"revision", "?failure"}, [&](std::string_view name, StrictJson::Value& field) {
    if (name == "revision") return json.ReadNumber64(field, name, read.revision);
    return ReadName(json, field, name, read.failure);
  });
}

Result<void> ReadDatabase(const StrictJson& json, StrictJson::Value& value, std::vector<DatabaseRecord>& databases) {
  const std::size_t offset = json.Offset(value);
  DatabaseRecord database;
  MUSTER_TRY(json.ReadObject(value, {"name", "center", "address", "?remoteAddress", "?rebuild"},
                             [&](std::string_view name, StrictJson::Value& field) {
                               if (name == "name") return ReadName(json, field, name, database.name);
                               if (name == "center") return ReadName(json, field, name, database.center);
                               if (name == "remoteAddress") return ReadName(json, field, name, database.remote_address);
                               if (name == "rebuild") return ReadRebuild(json, field, database.rebuild);
                               return ReadName(json, field, name, database.address);
                             }));
  return Append(json, offset, "databases", std::move(database), databases);
}

Result<void> ReadAcker(const StrictJson& json, StrictJson::Value& value, std::vector<AckerRecord>& ackers) {
  const std::size_t offset = json.Offset(value);
  AckerRecord acker;
  MUSTER_TRY(json.ReadObject(value, {"name", "state"}, [&](std::string_view name, StrictJson::Value& field) {
    if (name == "name") return ReadName(json, field, name, acker.name);
    return ReadEnumeration(json, field, name, kAckerStates, acker.state);
  }));
  return Append(json, offset, "ackers", std::move(acker), ackers);
}

// What is wrong with a group in itself; empty: nothing.
std::string FaultOf(const GroupRecord& group, const std::vector<std::string>& centers) {
  if (group.databases.empty() || group.databases.size() > kDatabasesOfGroupMax) {
    return "a group has 1 to " + std::to_string(kDatabasesOfGroupMax) + " databases";
  }
  for (const DatabaseRecord& database : group.databases) {
    if (std::ranges::count(centers, database.center) == 0) {
      return "\"" + database.name + "\" is in none of the \"centers\", which stand before the groups";
    }
  }
  const DatabaseRecord* const primary = group.Find(group.primary);
  if (primary == nullptr) return "\"primary\" must be one of the group's databases";
  for (const AckerRecord& acker : group.ackers) {
    const DatabaseRecord* const database = group.Find(acker.name);
    if (database == nullptr) return "acker \"" + acker.name + "\" is none of the group's databases";
    if (database->center == primary->center) {
      return "acker \"" + acker.name + "\" is in the primary's center, and would be lost with it";
    }
  }
  if (group.durability == Durability::kBothCenters && group.ackers.empty()) {
    return "without ackers a group's durability is \"degraded\"";
  }
  return {};
}

Result<void> ReadProgress(const StrictJson& json, StrictJson::Value& value, const std::vector<GroupRecord>& groups,
                          std::vector<GroupProgress>& progress) {
  const std::size_t offset = json.Offset(value);
  GroupProgress group;
  MUSTER_TRY(json.ReadObject(value, {"group", "step", "?chosen", "?position"},
                             [&](std::string_view name, StrictJson::Value& field) {
                               if (name == "group") return ReadName(json, field, name, group.group);
                               if (name == "chosen") return ReadName(json, field, name, group.chosen);
                               if (name == "position") return json.ReadText(field, name, group.position);
                               return ReadEnumeration(json, field, name, kSteps, group.step);
                             }));
  const std::size_t index = progress.size();
  if (index >= groups.size() || groups[index].name != group.group) {
    return Fail(
        json.At(offset, "a journal has each group once, in their order: \"" + group.group + "\" is out of place"));
  }
  if ((group.step == GroupStep::kFenced) != group.chosen.empty()) {
    return Fail(json.At(offset, "a database is \"chosen\" from that step on, and not before"));
  }
  if (!group.chosen.empty() && groups[index].Find(group.chosen) == nullptr) {
    return Fail(json.Wrong(offset, "chosen", "one of the group's databases"));
  }
  progress.push_back(std::move(group));
  return {};
}

void WriteHead(JsonWriter& json, FailoverKind kind, bool by_operator, std::string_view from, std::string_view to,
               std::string_view cause, Timestamp begin_time) {
  json.Key("kind").String(NameOf(kind));
  if (by_operator) json.Key("byOperator").Bool(true);
  json.Key("from").String(from);
  json.Key("to").String(to);
  json.Key("cause").String(cause);
  json.Key("beginTime").Time(begin_time);
}

}  // namespace

std::string_view NameOf(AckerState state) { return kAckerStates[static_cast<std::size_t>(state)]; }
std::string_view NameOf(Durability durability) { return kDurabilities[static_cast<std::size_t>(durability)]; }
std::string_view NameOf(FailoverKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }
std::string_view NameOf(GroupStep step) { return kSteps[static_cast<std::size_t>(step)]; }

std::string_view NameOf(ShardMoveStep step) { return kMoveSteps[static_cast<std::size_t>(step)]; }

const DatabaseRecord* GroupRecord::Find(std::string_view database) const {
  const auto found = std::ranges::find(databases, database, &DatabaseRecord::name);
  return found == databases.end() ? nullptr : &*found;
}

DatabaseRecord* GroupRecord::Find(std::string_view database) {
  const auto found = std::ranges::find(databases, database, &DatabaseRecord::name);
  return found == databases.end() ? nullptr : &*found;
}

const AckerRecord* GroupRecord::FindAcker(std::string_view database) const {
  const auto found = std::ranges::find(ackers, database, &AckerRecord::name);
  return found == ackers.end() ? nullptr : &*found;
}

AckerRecord* GroupRecord::FindAcker(std::string_view database) {
  const auto found = std::ranges::find(ackers, database, &AckerRecord::name);
  return found == ackers.end() ? nullptr : &*found;
}

const GroupProgress* FailoverJournal::Find(std::string_view group) const {
  const auto found = std::ranges::find(groups, group, &GroupProgress::group);
  return found == groups.end() ? nullptr : &*found;
}

GroupProgress* FailoverJournal::Find(std::string_view group) {
  const auto found = std::ranges::find(groups, group, &GroupProgress::group);
  return found == groups.end() ? nullptr : &*found;
}

void WriteGroup(JsonWriter& json, const GroupRecord& group) {
  json.BeginObject();
  json.Key("name").String(group.name);
  json.Key("primary").String(group.primary);
  json.Key("durability").String(NameOf(group.durability));
  json.Key("ackers").BeginArray();
  for (const AckerRecord& acker : group.ackers) {
    json.BeginObject();
    json.Key("name").String(acker.name);
    json.Key("state").String(NameOf(acker.state));
    json.EndObject();
  }
  json.EndArray();
  if (group.ackers_revision != 0) json.Key("ackersRevision").Number64(group.ackers_revision);
  if (!group.promoted_at.empty()) json.Key("promotedAt").String(group.promoted_at);
  if (group.shards.any()) json.Key("shards").String(ShardsText(group.shards));
  json.Key("databases").BeginArray();
  for (const DatabaseRecord& database : group.databases) {
    json.BeginObject();
    json.Key("name").String(database.name);
    json.Key("center").String(database.center);
    json.Key("address").String(database.address);
    if (!database.remote_address.empty()) json.Key("remoteAddress").String(database.remote_address);
    if (database.rebuild) {
      json.Key("rebuild").BeginObject();
      json.Key("revision").Number64(database.rebuild->revision);
      if (!database.rebuild->failure.empty()) json.Key("failure").String(database.rebuild->failure);
      json.EndObject();
    }
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
}

void WriteShardMove(JsonWriter& json, const ShardMoveRecord& move) {
  json.BeginObject();
  json.Key("from").String(move.from);
  json.Key("to").String(move.to);
  json.Key("shards").String(ShardsText(move.shards));
  if (move.batch.any()) json.Key("batch").String(ShardsText(move.batch));
  json.Key("step").String(NameOf(move.step));
  if (move.stops) json.Key("stops").Bool(true);
  if (!move.mover.empty()) json.Key("mover").String(move.mover);
  if (move.term != 0) json.Key("term").Number64(move.term);
  json.Key("beginTime").Time(move.begin_time);
  json.EndObject();
}

void WriteJournal(JsonWriter& json, const FailoverJournal& journal) {
  json.BeginObject();
  WriteHead(json, journal.kind, journal.by_operator, journal.from, journal.to, journal.cause, journal.begin_time);
  json.Key("beginRevision").Number64(journal.begin_revision);
  if (journal.accepts_loss) json.Key("acceptsLoss").Bool(true);
  if (journal.leases_ended) json.Key("leasesEnded").Bool(true);
  json.Key("groups").BeginArray();
  for (const GroupProgress& group : journal.groups) {
    json.BeginObject();
    json.Key("group").String(group.group);
    json.Key("step").String(NameOf(group.step));
    if (!group.chosen.empty()) json.Key("chosen").String(group.chosen);
    if (!group.position.empty()) json.Key("position").String(group.position);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
}

void WriteOutcome(JsonWriter& json, const FailoverOutcome& outcome) {
  json.BeginObject();
  WriteHead(json, outcome.kind, outcome.by_operator, outcome.from, outcome.to, outcome.cause, outcome.begin_time);
  json.Key("endTime").Time(outcome.end_time);
  if (outcome.undone) json.Key("undone").Bool(true);
  json.EndObject();
}

Result<void> ReadGroup(const StrictJson& json, StrictJson::Value& value, const std::vector<std::string>& centers,
                       std::vector<GroupRecord>& groups) {
  const std::size_t offset = json.Offset(value);
  GroupRecord group;
  MUSTER_TRY(json.ReadObject(
      value, {"name", "primary", "durability", "ackers", "?ackersRevision", "?promotedAt", "?shards", "databases"},
      [&](std::string_view name, StrictJson::Value& field) -> Result<void> {
        if (name == "name") return ReadName(json, field, name, group.name);
        if (name == "primary") return ReadName(json, field, name, group.primary);
        if (name == "durability") return ReadEnumeration(json, field, name, kDurabilities, group.durability);
        if (name == "ackersRevision") return json.ReadNumber64(field, name, group.ackers_revision);
        if (name == "promotedAt") return ReadName(json, field, name, group.promoted_at);
        if (name == "shards") return ReadShards(json, field, name, group.shards);
        if (name == "ackers") {
          return json.ReadArray(field, name,
                                [&](StrictJson::Value& element) { return ReadAcker(json, element, group.ackers); });
        }
        return json.ReadArray(field, name,
                              [&](StrictJson::Value& element) { return ReadDatabase(json, element, group.databases); });
      }));
  if (const std::string fault = FaultOf(group, centers); !fault.empty()) return Fail(json.At(offset, fault));
  for (const GroupRecord& other : groups) {
    for (const DatabaseRecord& database : group.databases) {
      if (other.Find(database.name) != nullptr) {
        return Fail(json.At(offset, "\"" + database.name + "\" is a database of another group, too"));
      }
    }
  }
  if (groups.size() >= kGroupsMax) return Fail(json.At(offset, "more than " + std::to_string(kGroupsMax) + " groups"));
  return Append(json, offset, "groups", std::move(group), groups);
}

Result<void> ReadShardMove(const StrictJson& json, StrictJson::Value& value, const std::vector<GroupRecord>& groups,
                           std::optional<ShardMoveRecord>& move) {
  const std::size_t offset = json.Offset(value);
  ShardMoveRecord& read = move.emplace();
  MUSTER_TRY(json.ReadObject(value,
                             {"from", "to", "shards", "?batch", "step", "?stops", "?mover", "?term", "beginTime"},
                             [&](std::string_view name, StrictJson::Value& field) -> Result<void> {
                               if (name == "from") return ReadName(json, field, name, read.from);
                               if (name == "to") return ReadName(json, field, name, read.to);
                               if (name == "shards") return ReadShards(json, field, name, read.shards);
                               if (name == "batch") return ReadShards(json, field, name, read.batch);
                               if (name == "step") return ReadEnumeration(json, field, name, kMoveSteps, read.step);
                               if (name == "stops") return json.ReadBoolean(field, name, read.stops);
                               if (name == "mover") return ReadName(json, field, name, read.mover);
                               if (name == "term") return json.ReadNumber64(field, name, read.term);
                               return json.ReadTime(field, name, read.begin_time);
                             }));
  for (const std::string& group : {read.from, read.to}) {
    if (std::ranges::count(groups, group, &GroupRecord::name) == 0) {
      return Fail(json.At(offset, "\"" + group + "\" is none of the \"groups\", which stand before"));
    }
  }
  if (read.from == read.to) return Fail(json.At(offset, "shards move from one group to another"));
  if ((read.batch & ~read.shards).any()) return Fail(json.Wrong(offset, "batch", "some of the \"shards\""));
  return {};
}

Result<void> ReadJournal(const StrictJson& json, StrictJson::Value& value, const std::vector<std::string>& centers,
                         const std::vector<GroupRecord>& groups, std::optional<FailoverJournal>& journal) {
  const std::size_t offset = json.Offset(value);
  FailoverJournal& read = journal.emplace();
  MUSTER_TRY(json.ReadObject(value,
                             {"kind", "?byOperator", "from", "to", "cause", "beginTime", "beginRevision",
                              "?acceptsLoss", "?leasesEnded", "groups"},
                             [&](std::string_view name, StrictJson::Value& field) -> Result<void> {
                               if (name == "kind") return ReadEnumeration(json, field, name, kKinds, read.kind);
                               if (name == "byOperator") return json.ReadBoolean(field, name, read.by_operator);
                               if (name == "acceptsLoss") return json.ReadBoolean(field, name, read.accepts_loss);
                               if (name == "leasesEnded") return json.ReadBoolean(field, name, read.leases_ended);
                               if (name == "from") return ReadName(json, field, name, read.from);
                               if (name == "to") return ReadName(json, field, name, read.to);
                               if (name == "cause") return json.ReadText(field, name, read.cause);
                               if (name == "beginTime") return json.ReadTime(field, name, read.begin_time);
                               if (name == "beginRevision") return json.ReadNumber64(field, name, read.begin_revision);
                               return json.ReadArray(field, name, [&](StrictJson::Value& element) {
                                 return ReadProgress(json, element, groups, read.groups);
                               });
                             }));
  for (const std::string& center : {read.from, read.to}) {
    if (std::ranges::count(centers, center) == 0) {
      return Fail(json.At(offset, "\"" + center + "\" is none of the \"centers\", which stand before"));
    }
  }
  if (read.from == read.to) return Fail(json.At(offset, "a failover is from one center to another"));
  if (read.groups.size() != groups.size()) return Fail(json.At(offset, "the journal lacks a group"));
  return {};
}

Result<void> ReadOutcome(const StrictJson& json, StrictJson::Value& value, std::vector<FailoverOutcome>& outcomes) {
  const std::size_t offset = json.Offset(value);
  FailoverOutcome outcome;
  MUSTER_TRY(json.ReadObject(value, {"kind", "?byOperator", "from", "to", "cause", "beginTime", "endTime", "?undone"},
                             [&](std::string_view name, StrictJson::Value& field) -> Result<void> {
                               if (name == "kind") return ReadEnumeration(json, field, name, kKinds, outcome.kind);
                               if (name == "byOperator") return json.ReadBoolean(field, name, outcome.by_operator);
                               if (name == "undone") return json.ReadBoolean(field, name, outcome.undone);
                               if (name == "from") return ReadName(json, field, name, outcome.from);
                               if (name == "to") return ReadName(json, field, name, outcome.to);
                               if (name == "cause") return json.ReadText(field, name, outcome.cause);
                               if (name == "beginTime") return json.ReadTime(field, name, outcome.begin_time);
                               return json.ReadTime(field, name, outcome.end_time);
                             }));
  if (outcomes.size() >= kOutcomesKept) {
    return Fail(json.At(offset, "more than " + std::to_string(kOutcomesKept) + " failovers that have ended"));
  }
  outcomes.push_back(std::move(outcome));
  return {};
}

}  // namespace muster
