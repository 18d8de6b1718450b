#include "app/output/answer_tables.h"

#include <simdjson.h>

#include "app/output/table.h"

namespace muster {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

// The scalar as text; empty when it is not there.
std::string Text(const element& parent, const char* key) {
  element value;
  if (parent[key].get(value) != simdjson::SUCCESS) return "";
  if (value.is_string()) return std::string(value.get_string().value_unsafe());
  if (value.is_bool()) return value.get_bool().value_unsafe() ? "yes" : "";
  return simdjson::minify(value);
}

array Array(const element& parent, const char* key) {
  array values;
  return parent[key].get(values) == simdjson::SUCCESS ? values : array();
}

bool HasArray(const element& parent, const char* key) {
  array values;
  return parent[key].get(values) == simdjson::SUCCESS;
}

std::string JoinTexts(const element& parent, const char* key, std::string_view separator) {
  std::string joined;
  if (!HasArray(parent, key)) return joined;
  for (const element value : Array(parent, key)) {
    if (!joined.empty()) joined += separator;
    joined += value.get_string().value();
  }
  return joined;
}

Outcome<element> Parse(simdjson::dom::parser& parser, std::string_view json) {
  element root;
  if (parser.parse(simdjson::padded_string(json)).get(root) != simdjson::SUCCESS || !root.is_object()) {
    return Fails(ExitCode::kFailure, "the server's answer is not a JSON object; is it a muster server?");
  }
  return root;
}

std::string WithPlatform(const element& identity) {
  const std::string platform = Text(identity, "platform");
  return Text(identity, "kind") + (platform.empty() ? "" : "@" + platform);
}

std::string DescribeIdentities(const element& member) {
  std::string lines;
  if (!HasArray(member, "identities")) return lines;
  for (const element identity : Array(member, "identities")) {
    if (!lines.empty()) lines += '\n';
    lines += WithPlatform(identity) + "=" + Text(identity, "value");
    if (!Text(identity, "verified").empty()) lines += ", verified";
    if (Text(identity, "state") == "QUARANTINED") lines += ", quarantined";
    if (const std::string source = Text(identity, "source"); !source.empty()) lines += ", from " + source;
    if (const std::string time = Text(identity, "bindTime"); !time.empty()) lines += ", bound " + time;
  }
  return lines;
}

std::string DescribeAttributes(const element& member) {
  std::string lines;
  object attributes;
  if (member["attributes"].get(attributes) != simdjson::SUCCESS) return lines;
  for (const auto [name, value] : attributes) {
    if (!lines.empty()) lines += '\n';
    lines.append(name).append("=").append(value.get_string().value());
  }
  return lines;
}

std::string DescribeChange(const element& change) {
  std::string what = JoinTexts(change, "fields", ", ");
  if (!HasArray(change, "identities")) return what;
  for (const element identity : Array(change, "identities")) {
    if (!what.empty()) what += ", ";
    what += WithPlatform(identity);
  }
  return what;
}

std::string StateOfCaller(const element& caller) { return Text(caller, "disabled").empty() ? "enabled" : "disabled"; }

std::string DemandOfKey(const element& caller) {
  return Text(caller, "idempotencyKeyRequired").empty() ? "optional" : "required";
}

std::string DescribeKeys(const element& caller) {
  std::string keys;
  if (!HasArray(caller, "keys")) return keys;
  for (const element key : Array(caller, "keys")) {
    const std::string expires = Text(key, "expireTime");
    keys += (keys.empty() ? "" : ", ") + Text(key, "id") + (expires.empty() ? "" : " until " + expires);
  }
  return keys;
}

void AppendRoute(std::string& out, const element& route, const std::string& first, const std::string& rest,
                 const Terminal& terminal) {
  out += first + Styled(terminal, Style::kBold, Text(route, "name"));
  object counters;
  if (route["counters"].get(counters) == simdjson::SUCCESS) {
    for (const auto [name, value] : counters) {
      out.append("  ").append(name).append(" ");
      out += value.is_string() ? std::string(value.get_string().value_unsafe()) : std::string(simdjson::minify(value));
    }
  }
  out += '\n' + rest + "  " + Styled(terminal, Style::kDim, Text(route, "policy")) + '\n';
  if (!HasArray(route, "children")) return;
  const array children = Array(route, "children");
  std::size_t left = children.size();
  for (const element child : children) {
    const bool is_last = --left == 0;
    AppendRoute(out, child, rest + (is_last ? "└─ " : "├─ "), rest + (is_last ? "   " : "│  "), terminal);
  }
}

// Data of the server is read with value(), which throws on a wrong type.
template <typename Render>
Outcome<std::string> Rendered(std::string_view json, Render render) {
  simdjson::dom::parser parser;
  const auto root = Parse(parser, json);
  if (!root) return std::unexpected(root.error());
  try {
    return render(*root);
  } catch (const simdjson::simdjson_error& error) {
    return Fails(ExitCode::kFailure, std::string("the server's answer is not what was expected: ") + error.what());
  }
}

}  // namespace

Outcome<std::string> RenderMember(const Terminal& terminal, std::string_view json) {
  return Rendered(json, [&](const element& member) {
    const std::string merged_into = Text(member, "mergedInto");
    return RenderFields(terminal, {{"id", Text(member, "id")},
                                   {"state", Text(member, "state")},
                                   {"display name", Text(member, "displayName")},
                                   {"real name", Text(member, "realName")},
                                   {"gender", Text(member, "gender")},
                                   {"birth date", Text(member, "birthDate")},
                                   {"city", Text(member, "city")},
                                   {"tier", Text(member, "tier")},
                                   {"tags", JoinTexts(member, "tags", ", ")},
                                   {"attributes", DescribeAttributes(member)},
                                   {"identities", DescribeIdentities(member)},
                                   {"version", Text(member, "version")},
                                   {"created", Text(member, "createTime")},
                                   {"updated", Text(member, "updateTime")},
                                   {"merged into", merged_into}});
  });
}

Outcome<std::string> RenderMembers(const Terminal& terminal, std::string_view json) {
  return Rendered(json, [&](const element& root) {
    Table table({{"ID", Table::Align::kRight},
                 {"STATE"},
                 {"DISPLAY NAME"},
                 {"CITY"},
                 {"TIER"},
                 {"TAGS"},
                 {"VERSION", Table::Align::kRight},
                 {"UPDATED"}});
    if (HasArray(root, "members")) {
      for (const element member : Array(root, "members")) {
        table.AddRow({Text(member, "id"), Text(member, "state"), Text(member, "displayName"), Text(member, "city"),
                      Text(member, "tier"), JoinTexts(member, "tags", ","), Text(member, "version"),
                      Text(member, "updateTime")});
      }
    }
    return table.Render(terminal);
  });
}

Outcome<std::string> RenderHistory(const Terminal& terminal, std::string_view json) {
  return Rendered(json, [&](const element& root) {
    Table table({{"VERSION", Table::Align::kRight}, {"TYPE"}, {"TIME"}, {"CALLER"}, {"WHAT"}, {"REQUEST"}});
    if (HasArray(root, "changes")) {
      for (const element change : Array(root, "changes")) {
        table.AddRow({Text(change, "version"), Text(change, "type"), Text(change, "changeTime"), Text(change, "caller"),
                      DescribeChange(change), Text(change, "requestId")});
      }
    }
    return table.Render(terminal);
  });
}

std::string NextPageToken(std::string_view json) {
  simdjson::dom::parser parser;
  const auto root = Parse(parser, json);
  return root ? Text(*root, "nextPageToken") : "";
}

Outcome<std::string> RenderCaller(const Terminal& terminal, std::string_view json) {
  return Rendered(json, [&](const element& caller) {
    return RenderFields(terminal, {{"name", Text(caller, "name")},
                                   {"state", StateOfCaller(caller)},
                                   {"scopes", JoinTexts(caller, "scopes", ",")},
                                   {"idempotency key", DemandOfKey(caller)},
                                   {"keys", DescribeKeys(caller)},
                                   {"purpose", Text(caller, "purpose")}});
  });
}

Outcome<std::string> RenderCallers(const Terminal& terminal, std::string_view json) {
  return Rendered(json, [&](const element& root) {
    Table table({{"NAME"}, {"STATE"}, {"SCOPES"}, {"IDEMPOTENCY KEY"}, {"KEYS"}, {"PURPOSE"}});
    if (HasArray(root, "callers")) {
      for (const element caller : Array(root, "callers")) {
        table.AddRow({Text(caller, "name"), StateOfCaller(caller), JoinTexts(caller, "scopes", ","),
                      DemandOfKey(caller), DescribeKeys(caller), Text(caller, "purpose")});
      }
    }
    return table.Render(terminal);
  });
}

Outcome<std::string> RenderRoutes(const Terminal& terminal, std::string_view json) {
  return Rendered(json, [&](const element& root) {
    std::string out;
    AppendRoute(out, root, "", "", terminal);
    return out;
  });
}

}  // namespace muster
