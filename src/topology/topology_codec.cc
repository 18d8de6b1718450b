#include "topology/topology_codec.h"

#include <algorithm>
#include <cstdint>

#include "base/encoding.h"
#include "domain/json_writer.h"
#include "topology/topology_groups_codec.h"
#include "topology/topology_json.h"
#include "topology/topology_rules.h"

namespace muster {
namespace {

constexpr std::size_t kHashHexSize = 64;
const std::vector<std::string_view> kCacheModes = {"on", "bypass", "warming"};

void WriteKey(JsonWriter& json, const CallerRecord::Key& key) {
  json.BeginObject();
  json.Key("id").String(key.id);
  json.Key("hash").String(key.hash_hex);
  json.Key("createTime").Time(key.create_time);
  if (key.expire_time != Timestamp{}) json.Key("expireTime").Time(key.expire_time);
  json.EndObject();
}

void WriteCaller(JsonWriter& json, const CallerRecord& caller) {
  json.BeginObject();
  json.Key("name").String(caller.name);
  json.Key("purpose").String(caller.purpose);
  json.Key("scopes").BeginArray();
  for (const std::string& scope : caller.scopes) json.String(scope);
  json.EndArray();
  json.Key("keys").BeginArray();
  for (const CallerRecord::Key& key : caller.keys) WriteKey(json, key);
  json.EndArray();
  json.Key("disabled").Bool(caller.disabled);
  if (caller.idempotency_key_required) json.Key("idempotencyKeyRequired").Bool(true);
  json.Key("createTime").Time(caller.create_time);
  json.EndObject();
}

std::int64_t FormatOf(const TopologyDocument& document) {
  const bool has_rebuild = std::ranges::any_of(document.groups, [](const GroupRecord& group) {
    return std::ranges::any_of(group.databases, [](const DatabaseRecord& each) { return each.rebuild.has_value(); });
  });
  if (document.names_shards() || has_rebuild) return 4;
  const bool has_centers = !document.centers.empty() || !document.writer.empty() || !document.groups.empty() ||
                           document.failover || !document.failovers.empty() || !document.caches.empty();
  if (has_centers || document.lease_ms != TopologyDocument::kLeaseMsDefault) return 3;
  return std::ranges::any_of(document.callers, &CallerRecord::idempotency_key_required) ? 2 : 1;
}

// What is wrong with where the shards live; empty: nothing.
std::string FaultOfShards(const TopologyDocument& document) {
  if (!document.names_shards()) {
    if (document.shard_move) return "\"shardMove\" is there without \"shards\" of groups";
    return document.shards_revision == 0 ? "" : "\"shardsRevision\" is there without \"shards\" of groups";
  }
  ShardSet seen;
  for (const GroupRecord& group : document.groups) {
    if (const ShardSet twice = seen & group.shards; twice.any()) {
      return "each shard is in exactly one group: " + ShardsText(twice) + " of group \"" + group.name +
             "\" are in another one, too";
    }
    seen |= group.shards;
  }
  return seen.all() ? "" : "each shard is in exactly one group: " + ShardsText(~seen) + " are in none";
}

// Reads one file.
class Parser {
 public:
  Parser(const std::string& path, std::string_view text) : json_(path, text) {}

  Result<TopologyDocument> Parse() {
    TopologyDocument topology;
    bool has_format = false;
    MUSTER_TRY(json_.Read({"format", "revision", "epoch", "?centers", "?writer", "?leaseMs", "?groups",
                           "?shardsRevision", "?shardMove", "?failover", "?failovers", "?caches", "callers"},
                          [&](std::string_view name, Value& value) {
                            if (name == "format") {
                              has_format = true;
                              return ReadFormat(value);
                            }
                            if (!has_format) {
                              return Result<void>(
                                  Fail(json_.At(json_.Offset(value), "\"format\" must be the first field")));
                            }
                            return ReadTopField(topology, name, value);
                          }));
    if (topology.failover && !topology.writer.empty()) {
      return Fail(json_.At(0, "while a \"failover\" is under way there is no \"writer\""));
    }
    if (const std::string fault = FaultOfWriter(topology); !fault.empty()) return Fail(json_.At(0, fault));
    if (const std::string fault = FaultOfShards(topology); !fault.empty()) return Fail(json_.At(0, fault));
    return topology;
  }

 private:
  using Value = StrictJson::Value;

  Result<void> ReadFormat(Value& value) {
    std::int64_t format = 0;
    MUSTER_TRY(json_.ReadNumber(value, "format", 1, INT64_MAX, format));
    if (format > kTopologyFormat) {
      return Fail(Reason::kInternal, json_.path() + ": has format " + std::to_string(format) +
                                         ", this muster reads up to " + std::to_string(kTopologyFormat) +
                                         ": it was written by a newer one; run that");
    }
    return {};
  }

  Result<void> ReadTopField(TopologyDocument& topology, std::string_view name, Value& value) {
    if (name == "revision") return json_.ReadNumber64(value, name, topology.revision);
    if (name == "epoch") {
      std::int64_t epoch = 0;
      MUSTER_TRY(json_.ReadNumber64(value, name, epoch));
      topology.epoch = Epoch(epoch);
      return {};
    }
    if (name == "centers") return ReadCenters(value, topology.centers);
    if (name == "writer") return ReadWriter(topology, value);
    if (name == "leaseMs") {
      return json_.ReadNumber(value, name, TopologyDocument::kLeaseMsMin, TopologyDocument::kLeaseMsMax,
                              topology.lease_ms);
    }
    if (name == "groups") {
      return json_.ReadArray(
          value, name, [&](Value& element) { return ReadGroup(json_, element, topology.centers, topology.groups); });
    }
    if (name == "shardsRevision") return json_.ReadNumber64(value, name, topology.shards_revision);
    if (name == "shardMove") return ReadShardMove(json_, value, topology.groups, topology.shard_move);
    if (name == "failover") return ReadJournal(json_, value, topology.centers, topology.groups, topology.failover);
    if (name == "failovers") {
      return json_.ReadArray(value, name,
                             [&](Value& element) { return ReadOutcome(json_, element, topology.failovers); });
    }
    if (name == "caches") {
      return json_.ReadArray(value, name, [&](Value& element) { return ReadCache(topology, element); });
    }
    return json_.ReadArray(value, name, [&](Value& element) { return ReadCallerOf(topology, element); });
  }

  Result<void> ReadCache(TopologyDocument& topology, Value& element) {
    const std::size_t offset = json_.Offset(element);
    CacheRecord cache;
    MUSTER_TRY(json_.ReadObject(element, {"center", "epoch", "mode"}, [&](std::string_view name, Value& field) {
      if (name == "center") return json_.ReadText(field, name, cache.center);
      if (name == "epoch") {
        std::int64_t epoch = 0;
        Result<void> read = json_.ReadNumber64(field, name, epoch);
        cache.epoch = Epoch(epoch);
        return read;
      }
      std::size_t index = 0;
      Result<void> read = json_.ReadWord(field, name, kCacheModes, index);
      cache.mode = static_cast<CacheMode>(index);
      return read;
    }));
    if (std::ranges::count(topology.centers, cache.center) == 0) {
      return Fail(json_.Wrong(offset, "center", "one of the \"centers\", which stand before it"));
    }
    if (!topology.caches.empty() && topology.caches.back().center >= cache.center) {
      return Fail(
          json_.At(offset, "caches must be sorted by center, each once: \"" + cache.center + "\" is out of place"));
    }
    topology.caches.push_back(std::move(cache));
    return {};
  }

  Result<void> ReadCallerOf(TopologyDocument& topology, Value& element) {
    const std::size_t offset = json_.Offset(element);
    CallerRecord caller;
    MUSTER_TRY(ReadCaller(element, caller));
    if (caller.name.empty()) return Fail(json_.Wrong(offset, "name", "a caller's name"));
    if (!topology.callers.empty() && topology.callers.back().name >= caller.name) {
      return Fail(
          json_.At(offset, "callers must be sorted by name, each once: \"" + caller.name + "\" is out of place"));
    }
    topology.callers.push_back(std::move(caller));
    return {};
  }

  Result<void> ReadCenters(Value& value, std::vector<std::string>& centers) {
    return json_.ReadArray(value, "centers", [&](Value& element) -> Result<void> {
      const std::size_t offset = json_.Offset(element);
      std::string center;
      MUSTER_TRY(json_.ReadText(element, "centers", center));
      if (center.empty()) return Fail(json_.Wrong(offset, "centers", "a list of names"));
      if (!centers.empty() && centers.back() >= center) {
        return Fail(json_.At(offset, "centers must be sorted by name, each once: \"" + center + "\" is out of place"));
      }
      centers.push_back(std::move(center));
      return {};
    });
  }

  Result<void> ReadWriter(TopologyDocument& topology, Value& value) {
    const std::size_t offset = json_.Offset(value);
    MUSTER_TRY(json_.ReadText(value, "writer", topology.writer));
    if (std::ranges::count(topology.centers, topology.writer) == 0) {
      return Fail(json_.Wrong(offset, "writer", "one of the \"centers\", which stand before it"));
    }
    return {};
  }

  Result<void> ReadCaller(Value& value, CallerRecord& caller) {
    return json_.ReadObject(
        value, {"name", "purpose", "scopes", "keys", "disabled", "?idempotencyKeyRequired", "createTime"},
        [&](std::string_view name, Value& field) -> Result<void> {
          if (name == "name") return json_.ReadText(field, name, caller.name);
          if (name == "purpose") return json_.ReadText(field, name, caller.purpose);
          if (name == "createTime") return json_.ReadTime(field, name, caller.create_time);
          if (name == "disabled") return json_.ReadBoolean(field, name, caller.disabled);
          if (name == "idempotencyKeyRequired") return json_.ReadBoolean(field, name, caller.idempotency_key_required);
          if (name == "scopes") {
            return json_.ReadArray(field, name, [&](Value& element) {
              return json_.ReadText(element, name, caller.scopes.emplace_back());
            });
          }
          return json_.ReadArray(field, name,
                                 [&](Value& element) { return ReadKey(element, caller.keys.emplace_back()); });
        });
  }

  Result<void> ReadKey(Value& value, CallerRecord::Key& key) {
    return json_.ReadObject(value, {"id", "hash", "createTime", "?expireTime"},
                            [&](std::string_view name, Value& field) -> Result<void> {
                              if (name == "id") return json_.ReadText(field, name, key.id);
                              if (name == "createTime") return json_.ReadTime(field, name, key.create_time);
                              if (name == "expireTime") return json_.ReadTime(field, name, key.expire_time);
                              const std::size_t offset = json_.Offset(field);
                              MUSTER_TRY(json_.ReadText(field, name, key.hash_hex));
                              if (key.hash_hex.size() != kHashHexSize || !FromHex(key.hash_hex)) {
                                return Fail(json_.Wrong(offset, name, "64 hexadecimal digits"));
                              }
                              return {};
                            });
  }

  StrictJson json_;
};

}  // namespace

std::string_view NameOf(CacheMode mode) { return kCacheModes[static_cast<std::size_t>(mode)]; }

std::string RenderTopology(const TopologyDocument& document) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Key("format").Number(FormatOf(document));
  json.Key("revision").Number64(document.revision);
  json.Key("epoch").Number64(document.epoch.value());
  if (!document.centers.empty()) {
    json.Key("centers").BeginArray();
    for (const std::string& center : document.centers) json.String(center);
    json.EndArray();
  }
  if (!document.writer.empty()) json.Key("writer").String(document.writer);
  if (document.lease_ms != TopologyDocument::kLeaseMsDefault) json.Key("leaseMs").Number(document.lease_ms);
  if (!document.groups.empty()) {
    json.Key("groups").BeginArray();
    for (const GroupRecord& group : document.groups) {
      out += '\n';
      WriteGroup(json, group);
    }
    json.EndArray();
  }
  if (document.shards_revision != 0) json.Key("shardsRevision").Number64(document.shards_revision);
  if (document.shard_move) {
    json.Key("shardMove");
    WriteShardMove(json, *document.shard_move);
  }
  if (document.failover) {
    json.Key("failover");
    WriteJournal(json, *document.failover);
  }
  if (!document.failovers.empty()) {
    json.Key("failovers").BeginArray();
    for (const FailoverOutcome& outcome : document.failovers) {
      out += '\n';
      WriteOutcome(json, outcome);
    }
    json.EndArray();
  }
  if (!document.caches.empty()) {
    json.Key("caches").BeginArray();
    for (const CacheRecord& cache : document.caches) {
      json.BeginObject();
      json.Key("center").String(cache.center);
      json.Key("epoch").Number64(cache.epoch.value());
      json.Key("mode").String(NameOf(cache.mode));
      json.EndObject();
    }
    json.EndArray();
  }
  json.Key("callers").BeginArray();
  for (const CallerRecord& caller : document.callers) {
    out += '\n';
    WriteCaller(json, caller);
  }
  json.EndArray();
  json.EndObject();
  out += '\n';
  return out;
}

Result<TopologyDocument> ChangeTopology(const TopologyDocument& current, const std::string& path,
                                        const std::function<Result<void>(TopologyDocument&)>& change) {
  TopologyDocument changed = current;
  MUSTER_TRY(change(changed));
  changed.revision = std::max(changed.revision, current.revision + 1);
  TidyTopology(current, changed);
  if (const std::string broken = BrokenRule(current, changed); !broken.empty()) {
    return Fail(Reason::kInternal, path + ": " + broken + "; nothing was changed");
  }
  MUSTER_TRY(ParseTopology(path + " (about to be written)", RenderTopology(changed)));
  return changed;
}

Result<TopologyDocument> ParseTopology(const std::string& path, std::string_view text) {
  return Parser(path, text).Parse();
}

}  // namespace muster
