#include "app/commands/member_fields.h"

#include <simdjson.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <iostream>
#include <iterator>

#include "app/files.h"
#include "base/encoding.h"
#include "domain/json_writer.h"

namespace muster {
namespace {

constexpr std::size_t kBodyBytesMax = 1 << 20;

std::unexpected<Failure> UsageError(std::string message) { return Fails(ExitCode::kUsage, std::move(message)); }

Outcome<void> CheckUtf8(const std::string& text) {
  if (IsValidUtf8(text)) return {};
  return UsageError("the command line holds text that is not UTF-8; is the terminal set to UTF-8?");
}

Outcome<std::string> ReadBody(const std::string& file) {
  if (file != "-") return ReadSmallFile(file, kBodyBytesMax);
  std::string text(std::istreambuf_iterator<char>(std::cin), {});
  if (text.size() > kBodyBytesMax) return UsageError("standard input is larger than the 1 MiB that a request may have");
  return text;
}

// The top-level names of a JSON object.
Outcome<std::string> NamesIn(const std::string& json, const std::string& file) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  simdjson::dom::object object;
  const auto error = parser.parse(simdjson::padded_string(json)).get(root);
  if (error != simdjson::SUCCESS || root.get(object) != simdjson::SUCCESS) {
    return UsageError((file == "-" ? "standard input" : file) + " is not a JSON object");
  }
  std::string names;
  for (const auto field : object) names.append(names.empty() ? "" : ",").append(field.key);
  return names;
}

void AddName(std::string& mask, std::string_view name) { mask.append(mask.empty() ? "" : ",").append(name); }

Outcome<void> WriteAttributes(JsonWriter& json, const std::vector<std::string>& attributes, std::string& out) {
  json.Key("attributes").BeginObject();
  bool first = true;
  for (const std::string& attribute : attributes) {
    const std::size_t equals = attribute.find('=');
    if (equals == std::string::npos || equals == 0)
      return UsageError("--attribute is NAME=VALUE, not '" + attribute + "'");
    out += first ? "\"" : ",\"";
    first = false;
    AppendJsonEscaped(out, std::string_view(attribute).substr(0, equals));
    out += "\":\"";
    AppendJsonEscaped(out, std::string_view(attribute).substr(equals + 1));
    out += '"';
  }
  json.EndObject();
  return {};
}

Outcome<MemberRequest> BodyOfFlags(const MemberFields& fields) {
  MemberRequest body;
  JsonWriter json(body.json);
  json.BeginObject();
  const std::pair<const char*, const std::string*> texts[] = {{"id", &fields.id},
                                                              {"state", &fields.state},
                                                              {"displayName", &fields.display_name},
                                                              {"realName", &fields.real_name},
                                                              {"gender", &fields.gender},
                                                              {"birthDate", &fields.birth_date},
                                                              {"city", &fields.city},
                                                              {"tier", &fields.tier}};
  for (const auto& [name, text] : texts) {
    if (text->empty()) continue;
    MUSTER_TRY(CheckUtf8(*text));
    json.Key(name).String(*text);
    AddName(body.update_mask, name);
  }
  if (!fields.tags.empty()) {
    json.Key("tags").BeginArray();
    for (const std::string& tag : fields.tags) {
      MUSTER_TRY(CheckUtf8(tag));
      json.String(tag);
    }
    json.EndArray();
    AddName(body.update_mask, "tags");
  }
  if (!fields.attributes.empty()) {
    for (const std::string& attribute : fields.attributes) MUSTER_TRY(CheckUtf8(attribute));
    MUSTER_TRY(WriteAttributes(json, fields.attributes, body.json));
    AddName(body.update_mask, "attributes");
  }
  if (!fields.identities.empty()) {
    json.Key("identities").BeginArray();
    for (const std::string& text : fields.identities) {
      MUSTER_ASSIGN(const IdentityText identity, ParseIdentityText(text));
      json.Raw(IdentityJson(identity, false, ""));
    }
    json.EndArray();
  }
  json.EndObject();
  for (const std::string& name : fields.clear) AddName(body.update_mask, name);
  return body;
}

}  // namespace

Outcome<IdentityText> ParseIdentityText(const std::string& text) {
  MUSTER_TRY(CheckUtf8(text));
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    return UsageError(
        "an identity is written KIND=VALUE or KIND@PLATFORM=VALUE, as in phone=+8613800000001 or unionid@wechat=oA1b2");
  }
  const std::string kind = text.substr(0, equals);
  const std::size_t at = kind.find('@');
  if (at == std::string::npos) return IdentityText{.kind = kind, .platform = "", .value = text.substr(equals + 1)};
  return IdentityText{.kind = kind.substr(0, at), .platform = kind.substr(at + 1), .value = text.substr(equals + 1)};
}

std::string IdentityJson(const IdentityText& identity, bool verified, const std::string& source) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Key("kind").String(identity.kind);
  if (!identity.platform.empty()) json.Key("platform").String(identity.platform);
  json.Key("value").String(identity.value);
  if (verified) json.Key("verified").Bool(true);
  if (!source.empty()) json.Key("source").String(source);
  json.EndObject();
  return out;
}

Outcome<std::string> CheckMemberId(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number <= 0) {
    return UsageError(
        "'" + text +
        "' is not a member's id: those are numbers from 1 on; to find somebody by phone, card or account use "
        "`muster member resolve`");
  }
  return text;
}

void AddFieldFlags(CLI::App& command, MemberFields& fields) {
  const auto add = [&command](const char* name, std::string& target, const char* help, const char* type) {
    command.add_option(name, target, help)->type_name(type)->group("Member");
  };
  add("--name", fields.display_name, "What the member is called (displayName)", "TEXT");
  add("--real-name", fields.real_name, "The name on documents; personal", "TEXT");
  command.add_option("--gender", fields.gender, "Gender")
      ->check(CLI::IsMember({"FEMALE", "MALE", "OTHER"}))
      ->group("Member");
  add("--birth-date", fields.birth_date, "YYYY-MM-DD", "DATE");
  add("--city", fields.city, "City", "TEXT");
  add("--tier", fields.tier, "Tier, as in gold", "TEXT");
  command.add_option("--tag", fields.tags, "A tag; may be repeated")
      ->type_name("TEXT")
      ->allow_extra_args(false)
      ->group("Member");
  command.add_option("--attribute", fields.attributes, "An attribute; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false)
      ->group("Member");
  add("--json", fields.json_file, "Take the member as JSON from a file instead; - is standard input", "FILE");
}

Outcome<MemberRequest> MakeMemberRequest(const MemberFields& fields) {
  MUSTER_ASSIGN(MemberRequest body, BodyOfFlags(fields));
  if (fields.json_file.empty()) return body;
  if (body.json != "{}") return UsageError("--json gives the whole member; leave the other fields out");
  MUSTER_ASSIGN(body.json, ReadBody(fields.json_file));
  MUSTER_ASSIGN(std::string names, NamesIn(body.json, fields.json_file));
  if (!body.update_mask.empty()) AddName(names, body.update_mask);
  body.update_mask = std::move(names);
  return body;
}

}  // namespace muster
