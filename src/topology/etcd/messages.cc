#include "topology/etcd/messages.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <span>

#include "base/encoding.h"
#include "domain/json_writer.h"

namespace muster::etcd {
namespace {

namespace dom = simdjson::dom;

std::unexpected<Error> FailAnswer(std::string_view lacks) {
  return Fail(Reason::kInternal, "what answers is not etcd, or not one that muster knows (3.4): its answer lacks " +
                                     std::string(lacks) + "; check the endpoints");
}

// Absent is 0.
std::int64_t NumberOf(const dom::object& object, std::string_view name) {
  std::string_view text;
  std::int64_t number = 0;
  if (object[name].get(text)) return 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Result<std::optional<KeyValue>> FirstOf(const dom::object& range) {
  dom::array values;
  if (range["kvs"].get(values)) return std::nullopt;
  dom::object first;
  if (values.at(0).get(first)) return std::nullopt;
  KeyValue found{.create_revision = NumberOf(first, "create_revision"),
                 .mod_revision = NumberOf(first, "mod_revision"),
                 .version = NumberOf(first, "version")};
  if (found.mod_revision == 0) return FailAnswer("a mod_revision");
  std::string_view value;
  if (!first["value"].get(value)) {
    auto bytes = FromBase64(value);
    if (!bytes) return FailAnswer("base64");
    found.value = std::move(*bytes);
  }
  return found;
}

void WriteRange(JsonWriter& json, std::string_view key) {
  json.BeginObject();
  json.Key("key").String(ToBase64(key));
  json.EndObject();
}

void WritePut(JsonWriter& json, std::string_view key, std::string_view value) {
  json.BeginObject();
  json.Key("request_put").BeginObject();
  json.Key("key").String(ToBase64(key));
  json.Key("value").String(ToBase64(value));
  json.EndObject();
  json.EndObject();
}

}  // namespace

std::string ToBase64(std::string_view bytes) {
  std::string text = ToBase64Url(std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
  std::ranges::replace(text, '-', '+');
  std::ranges::replace(text, '_', '/');
  text.append((4 - text.size() % 4) % 4, '=');
  return text;
}

std::optional<std::string> FromBase64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string plain(text.substr(0, text.find_last_not_of('=') + 1));
  if (text.size() - plain.size() > 2) return std::nullopt;
  std::ranges::replace(plain, '+', '-');
  std::ranges::replace(plain, '/', '_');
  const auto bytes = FromBase64Url(plain);
  if (!bytes) return std::nullopt;
  return std::string(bytes->begin(), bytes->end());
}

std::string RangeRequest(std::string_view key) {
  std::string out;
  JsonWriter json(out);
  WriteRange(json, key);
  return out;
}

Result<std::optional<KeyValue>> ParseRange(std::string_view answer) {
  dom::parser parser;
  dom::object root;
  if (parser.parse(simdjson::padded_string(answer)).get(root) || root["header"].error()) return FailAnswer("a header");
  return FirstOf(root);
}

std::string SwapRequest(const Swap& swap) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Key("compare").BeginArray();
  json.BeginObject();
  json.Key("key").String(ToBase64(swap.key));
  json.Key("target").String("MOD");
  json.Key("result").String("EQUAL");
  json.Key("mod_revision").Number64(swap.mod_revision);
  json.EndObject();
  json.EndArray();
  json.Key("success").BeginArray();
  WritePut(json, swap.key, swap.value);
  WritePut(json, swap.author_key, swap.author);
  json.EndArray();
  json.Key("failure").BeginArray();
  for (const std::string_view key : {swap.key, swap.author_key}) {
    json.BeginObject();
    json.Key("request_range");
    WriteRange(json, key);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  return out;
}

Result<SwapAnswer> ParseSwap(std::string_view answer) {
  dom::parser parser;
  dom::object root;
  if (parser.parse(simdjson::padded_string(answer)).get(root) || root["header"].error()) return FailAnswer("a header");
  SwapAnswer swap;
  if (!root["succeeded"].get(swap.is_done) && swap.is_done) return swap;
  std::array<std::optional<KeyValue>*, 2> targets = {&swap.current, &swap.author};
  for (std::size_t i = 0; i < targets.size(); ++i) {
    dom::object range;
    if (root["responses"].at(i)["response_range"].get(range)) return FailAnswer("what is there");
    MUSTER_ASSIGN(*targets[i], FirstOf(range));
  }
  return swap;
}

std::string ExchangeRequest(std::string_view key, std::string_view value, std::string_view prefix) {
  std::string end(prefix);
  end.back() = static_cast<char>(end.back() + 1);
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Key("success").BeginArray();
  WritePut(json, key, value);
  json.BeginObject();
  json.Key("request_range").BeginObject();
  json.Key("key").String(ToBase64(prefix));
  json.Key("range_end").String(ToBase64(end));
  json.EndObject();
  json.EndObject();
  json.EndArray();
  json.EndObject();
  return out;
}

Result<std::vector<std::string>> ParseExchange(std::string_view answer) {
  dom::parser parser;
  dom::object root;
  if (parser.parse(simdjson::padded_string(answer)).get(root) || root["header"].error()) return FailAnswer("a header");
  dom::array values;
  if (root.at_pointer("/responses/1/response_range/kvs").get(values)) return FailAnswer("the keys of a range");
  std::vector<std::string> found;
  for (const dom::element each : values) {
    std::string_view value;
    if (each["value"].get(value)) continue;  // empty
    auto bytes = FromBase64(value);
    if (!bytes) return FailAnswer("base64");
    found.push_back(std::move(*bytes));
  }
  return found;
}

std::string WatchRequest(std::string_view key) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Key("create_request");
  WriteRange(json, key);
  json.EndObject();
  return out;
}

std::string AuthenticateRequest(std::string_view user, std::string_view password) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Key("name").String(user);
  json.Key("password").String(password);
  json.EndObject();
  return out;
}

Result<std::string> ParseToken(std::string_view answer) {
  dom::parser parser;
  dom::object root;
  std::string_view token;
  if (parser.parse(simdjson::padded_string(answer)).get(root) || root["token"].get(token)) return FailAnswer("a token");
  return std::string(token);
}

std::optional<Refusal> ParseRefusal(std::string_view answer) {
  dom::parser parser;
  dom::object root;
  Refusal refusal;
  std::string_view text;
  if (parser.parse(simdjson::padded_string(answer)).get(root) || root["code"].get(refusal.code) ||
      root["message"].get(text)) {
    return std::nullopt;
  }
  refusal.text = text;
  return refusal;
}

}  // namespace muster::etcd
