#include "topology/topology_codec.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <set>

#include "base/encoding.h"
#include "domain/json_writer.h"

namespace muster {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr std::size_t kHashHexSize = 64;

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
  const bool has_centers = !document.centers.empty() || !document.writer.empty();
  if (has_centers || document.lease_ms != TopologyDocument::kLeaseMsDefault) return 3;
  return std::ranges::any_of(document.callers, &CallerRecord::idempotency_key_required) ? 2 : 1;
}

// Whether somebody who may write under `before` may not under `after`.
bool TakesWriting(const TopologyDocument& before, const TopologyDocument& after) {
  return before.centers.empty() ? !after.centers.empty() : !before.writer.empty() && before.writer != after.writer;
}

// Reads one file. Every field is visited, so everything in the file is either understood or refused.
class Parser {
 public:
  Parser(const std::string& path, std::string_view text) : path_(path), text_(text) {}

  Result<TopologyDocument> Parse() {
    ondemand::document document;
    if (auto error = parser_.iterate(text_).get(document)) return Malformed(error, 0);
    TopologyDocument topology;
    ondemand::value root;
    if (auto error = document.get_value().get(root)) return Malformed(error, 0);
    bool has_format = false;
    MUSTER_TRY(ReadObject(root, {"format", "revision", "epoch", "?centers", "?writer", "?leaseMs", "callers"},
                          [&](std::string_view name, ondemand::value value) {
                            if (name == "format") {
                              has_format = true;
                              return ReadFormat(value);
                            }
                            if (!has_format) {
                              return Result<void>(Fail(At(Offset(value), "\"format\" must be the first field")));
                            }
                            return ReadTopField(topology, name, value);
                          }));
    if (const char* rest = nullptr; !document.current_location().get(rest)) {
      return Fail(At(static_cast<std::size_t>(rest - text_.data()), "something follows the end of the document"));
    }
    return topology;
  }

 private:
  using FieldReader = std::function<Result<void>(std::string_view name, ondemand::value value)>;

  Error At(std::size_t offset, std::string_view what) const {
    const std::string_view before = std::string_view(text_).substr(0, std::min(offset, text_.size()));
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
    const std::size_t column = before.size() - line_start + 1;
    return Error{.reason = Reason::kInternal,
                 .message = path_ + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " +
                            std::string(what) + "; correct the file or put back a copy of it"};
  }

  std::unexpected<Error> Malformed(simdjson::error_code error, std::size_t offset) const {
    return Fail(At(offset, "not valid JSON (" + std::string(simdjson::error_message(error)) + ")"));
  }

  std::size_t Offset(ondemand::value& value) const {
    const char* location = nullptr;
    if (value.current_location().get(location) || location < text_.data()) return text_.size();
    return static_cast<std::size_t>(location - text_.data());
  }

  Error Wrong(std::size_t offset, std::string_view name, std::string_view wanted) const {
    return At(offset, "\"" + std::string(name) + "\" must be " + std::string(wanted));
  }

  // Calls `read` for each field; all of `names` but those that start with '?' must be there, once, and nothing else.
  Result<void> ReadObject(ondemand::value value, const std::vector<std::string_view>& names, const FieldReader& read) {
    const std::size_t begin = Offset(value);
    ondemand::object object;
    if (value.get_object().get(object)) return Fail(At(begin, "an object is wanted here"));
    std::set<std::string, std::less<>> seen;
    std::size_t last = begin;
    for (auto field : object) {
      std::string_view name;
      if (auto error = field.unescaped_key().get(name)) return Malformed(error, last);
      ondemand::value content;
      if (auto error = field.value().get(content)) return Malformed(error, last);
      last = Offset(content);
      const bool known = std::ranges::any_of(
          names, [&](std::string_view each) { return each.substr(each.starts_with('?') ? 1 : 0) == name; });
      if (!known) return Fail(At(last, "unknown field \"" + std::string(name) + "\""));
      if (!seen.emplace(name).second) return Fail(At(last, "\"" + std::string(name) + "\" is there twice"));
      MUSTER_TRY(read(name, content));
    }
    for (std::string_view name : names) {
      if (!name.starts_with('?') && !seen.contains(name)) {
        return Fail(At(begin, "this object lacks \"" + std::string(name) + "\""));
      }
    }
    return {};
  }

  Result<void> ReadArray(ondemand::value value, std::string_view name,
                         const std::function<Result<void>(ondemand::value element)>& read) {
    const std::size_t begin = Offset(value);
    ondemand::array array;
    if (value.get_array().get(array)) return Fail(Wrong(begin, name, "an array"));
    for (auto element : array) {
      ondemand::value content;
      if (auto error = element.get(content)) return Malformed(error, begin);
      MUSTER_TRY(read(content));
    }
    return {};
  }

  Result<void> ReadText(ondemand::value value, std::string_view name, std::string& target) {
    const std::size_t offset = Offset(value);
    std::string_view text;
    if (value.get_string().get(text)) return Fail(Wrong(offset, name, "a string"));
    target = text;
    return {};
  }

  Result<void> ReadBoolean(ondemand::value value, std::string_view name, bool& target) {
    const std::size_t offset = Offset(value);
    if (value.get_bool().get(target)) return Fail(Wrong(offset, name, "true or false"));
    return {};
  }

  Result<void> ReadNumber64(ondemand::value value, std::string_view name, std::int64_t& target) {
    const std::size_t offset = Offset(value);
    std::string text;
    MUSTER_TRY(ReadText(value, name, text));
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), target);
    if (error != std::errc() || end != text.data() + text.size() || target < 1) {
      return Fail(Wrong(offset, name, "a positive whole number in quotes"));
    }
    return {};
  }

  Result<void> ReadTime(ondemand::value value, std::string_view name, Timestamp& target) {
    const std::size_t offset = Offset(value);
    std::string text;
    MUSTER_TRY(ReadText(value, name, text));
    const std::optional<std::int64_t> micros = ParseTimestamp(text);
    if (!micros) return Fail(Wrong(offset, name, "a time as in \"2026-01-02T03:04:05Z\""));
    target = Timestamp(Duration(*micros));
    return {};
  }

  Result<void> ReadFormat(ondemand::value value) {
    const std::size_t offset = Offset(value);
    std::int64_t format = 0;
    if (value.get_int64().get(format) || format < 1) return Fail(Wrong(offset, "format", "a positive whole number"));
    if (format > kTopologyFormat) {
      return Fail(Reason::kInternal, path_ + ": has format " + std::to_string(format) + ", this muster reads up to " +
                                         std::to_string(kTopologyFormat) + ": it was written by a newer one; run that");
    }
    return {};
  }

  Result<void> ReadTopField(TopologyDocument& topology, std::string_view name, ondemand::value value) {
    if (name == "revision") return ReadNumber64(value, name, topology.revision);
    if (name == "epoch") {
      std::int64_t epoch = 0;
      MUSTER_TRY(ReadNumber64(value, name, epoch));
      topology.epoch = Epoch(epoch);
      return {};
    }
    if (name == "centers") return ReadCenters(value, topology.centers);
    if (name == "writer") return ReadWriter(topology, value);
    if (name == "leaseMs") return ReadLease(value, topology.lease_ms);
    return ReadArray(value, name, [&](ondemand::value element) -> Result<void> {
      const std::size_t offset = Offset(element);
      CallerRecord caller;
      MUSTER_TRY(ReadCaller(element, caller));
      if (caller.name.empty()) return Fail(Wrong(offset, "name", "a caller's name"));
      if (!topology.callers.empty() && topology.callers.back().name >= caller.name) {
        return Fail(At(offset, "callers must be sorted by name, each once: \"" + caller.name + "\" is out of place"));
      }
      topology.callers.push_back(std::move(caller));
      return {};
    });
  }

  Result<void> ReadCenters(ondemand::value value, std::vector<std::string>& centers) {
    return ReadArray(value, "centers", [&](ondemand::value element) -> Result<void> {
      const std::size_t offset = Offset(element);
      std::string center;
      MUSTER_TRY(ReadText(element, "centers", center));
      if (center.empty()) return Fail(Wrong(offset, "centers", "a list of names"));
      if (!centers.empty() && centers.back() >= center) {
        return Fail(At(offset, "centers must be sorted by name, each once: \"" + center + "\" is out of place"));
      }
      centers.push_back(std::move(center));
      return {};
    });
  }

  Result<void> ReadWriter(TopologyDocument& topology, ondemand::value value) {
    const std::size_t offset = Offset(value);
    MUSTER_TRY(ReadText(value, "writer", topology.writer));
    if (std::ranges::count(topology.centers, topology.writer) == 0) {
      return Fail(Wrong(offset, "writer", "one of the \"centers\", which stand before it"));
    }
    return {};
  }

  Result<void> ReadLease(ondemand::value value, std::int64_t& target) {
    const std::size_t offset = Offset(value);
    if (value.get_int64().get(target) || target < TopologyDocument::kLeaseMsMin ||
        target > TopologyDocument::kLeaseMsMax) {
      return Fail(Wrong(offset, "leaseMs",
                        "a whole number from " + std::to_string(TopologyDocument::kLeaseMsMin) + " to " +
                            std::to_string(TopologyDocument::kLeaseMsMax)));
    }
    return {};
  }

  Result<void> ReadCaller(ondemand::value value, CallerRecord& caller) {
    return ReadObject(value, {"name", "purpose", "scopes", "keys", "disabled", "?idempotencyKeyRequired", "createTime"},
                      [&](std::string_view name, ondemand::value field) -> Result<void> {
                        if (name == "name") return ReadText(field, name, caller.name);
                        if (name == "purpose") return ReadText(field, name, caller.purpose);
                        if (name == "createTime") return ReadTime(field, name, caller.create_time);
                        if (name == "disabled") return ReadBoolean(field, name, caller.disabled);
                        if (name == "idempotencyKeyRequired")
                          return ReadBoolean(field, name, caller.idempotency_key_required);
                        if (name == "scopes") {
                          return ReadArray(field, name, [&](ondemand::value element) {
                            return ReadText(element, name, caller.scopes.emplace_back());
                          });
                        }
                        return ReadArray(field, name, [&](ondemand::value element) {
                          return ReadKey(element, caller.keys.emplace_back());
                        });
                      });
  }

  Result<void> ReadKey(ondemand::value value, CallerRecord::Key& key) {
    return ReadObject(value, {"id", "hash", "createTime", "?expireTime"},
                      [&](std::string_view name, ondemand::value field) -> Result<void> {
                        if (name == "id") return ReadText(field, name, key.id);
                        if (name == "createTime") return ReadTime(field, name, key.create_time);
                        if (name == "expireTime") return ReadTime(field, name, key.expire_time);
                        const std::size_t offset = Offset(field);
                        MUSTER_TRY(ReadText(field, name, key.hash_hex));
                        if (key.hash_hex.size() != kHashHexSize || !FromHex(key.hash_hex)) {
                          return Fail(Wrong(offset, name, "64 hexadecimal digits"));
                        }
                        return {};
                      });
  }

  const std::string& path_;
  simdjson::padded_string text_;
  ondemand::parser parser_;
};

}  // namespace

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
  changed.revision = current.revision + 1;
  std::ranges::sort(changed.centers);
  std::ranges::sort(changed.callers, {}, &CallerRecord::name);
  if (changed.epoch < current.epoch || (changed.epoch == current.epoch && TakesWriting(current, changed))) {
    return Fail(
        Reason::kInternal,
        path + ": a change took the right to write from somebody without raising the epoch; nothing was changed");
  }
  MUSTER_TRY(ParseTopology(path + " (about to be written)", RenderTopology(changed)));
  return changed;
}

Result<TopologyDocument> ParseTopology(const std::string& path, std::string_view text) {
  return Parser(path, text).Parse();
}

}  // namespace muster
