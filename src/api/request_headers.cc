#include "api/request_headers.h"

#include <algorithm>
#include <charconv>

#include "api/http_text.h"
#include "api/query.h"
#include "traffic/caller_key.h"

namespace muster {

namespace {

bool ListsNoCache(std::string_view cache_control) {
  while (!cache_control.empty()) {
    const std::size_t comma = cache_control.find(',');
    const std::string_view directive = TrimWhiteSpace(cache_control.substr(0, comma));
    if (EqualsIgnoringCase(directive.substr(0, directive.find('=')), "no-cache")) return true;
    if (comma == std::string_view::npos) return false;
    cache_control.remove_prefix(comma + 1);
  }
  return false;
}

struct EntityTag {
  std::string_view opaque;
  bool weak = false;
};

// Takes the next tag off a list of them (RFC 9110, 8.8.3); nullopt when the text does not go on with one. An empty
// `list` afterwards means that it was the last.
std::optional<EntityTag> TakeEntityTag(std::string_view& list) {
  list = TrimWhiteSpace(list);
  EntityTag tag;
  if (list.starts_with("W/")) {
    tag.weak = true;
    list.remove_prefix(2);
  }
  if (list.empty() || list.front() != '"') return std::nullopt;
  const std::size_t end = list.find('"', 1);
  if (end == std::string_view::npos) return std::nullopt;
  tag.opaque = list.substr(1, end - 1);
  list = TrimWhiteSpace(list.substr(end + 1));
  if (list.empty()) return tag;
  if (list.front() != ',') return std::nullopt;
  list = TrimWhiteSpace(list.substr(1));
  return tag;
}

// The length of a header's name is nearly a perfect hash of those that are read here.
std::string_view RequestHeaders::* HeaderField(std::string_view name) {
  switch (name.size()) {
    case 10:
      return EqualsIgnoringCase(name, "request-id") ? &RequestHeaders::request_id : nullptr;
    case 11:
      return EqualsIgnoringCase(name, "traceparent") ? &RequestHeaders::trace_parent : nullptr;
    case 12:
      return EqualsIgnoringCase(name, "content-type") ? &RequestHeaders::content_type : nullptr;
    case 13:
      if (EqualsIgnoringCase(name, "authorization")) return &RequestHeaders::authorization;
      return EqualsIgnoringCase(name, "if-none-match") ? &RequestHeaders::if_none_match : nullptr;
    case 20:
      return EqualsIgnoringCase(name, "x-request-timeout-ms") ? &RequestHeaders::timeout_ms : nullptr;
    default:
      return nullptr;
  }
}

bool IsLowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsAllZero(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c == '0'; });
}

}  // namespace

RequestHeaders RequestHeaders::Scan(std::span<const HttpHeader> headers) {
  RequestHeaders found;
  for (const HttpHeader& header : headers) {
    if (auto field = HeaderField(header.name)) {
      if ((found.*field).empty()) found.*field = header.value;
    } else if (header.name.size() == 13 && EqualsIgnoringCase(header.name, "cache-control")) {
      found.no_cache = found.no_cache || ListsNoCache(header.value);
    }
  }
  return found;
}

Result<Duration> ParseTimeout(std::string_view timeout_ms) {
  const auto number = ParseDecimal(timeout_ms);
  if (!number || *number < 1 || *number > kTimeoutMsMax) {
    return FailField("X-Request-Timeout-Ms", "must be a whole number from 1 to 600000");
  }
  return Duration(std::chrono::milliseconds(*number));
}

bool IsRequestId(std::string_view text) {
  if (text.empty() || text.size() > 64 || text.starts_with(kCallerKeyPrefix)) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
}

std::string_view ValidTraceParent(std::string_view text) {
  constexpr std::size_t kSize = 55;  // 2 version, 32 trace id, 16 parent id, 2 flags, 3 hyphens
  if (text.size() < kSize || text[2] != '-' || text[35] != '-' || text[52] != '-') return {};
  const std::string_view version = text.substr(0, 2);
  const std::string_view trace_id = text.substr(3, 32);
  const std::string_view parent_id = text.substr(36, 16);
  if (!IsLowerHex(version) || !IsLowerHex(trace_id) || !IsLowerHex(parent_id) || !IsLowerHex(text.substr(53, 2)))
    return {};
  if (version == "ff" || IsAllZero(trace_id) || IsAllZero(parent_id)) return {};
  // Later versions may add fields after the flags, the first must not.
  if (text.size() > kSize && (version == "00" || text[kSize] != '-')) return {};
  return text.substr(0, kSize);
}

bool NamesTag(std::string_view if_none_match, std::string_view opaque) {
  if (if_none_match.empty()) return false;
  if (TrimWhiteSpace(if_none_match) == "*") return true;
  while (!if_none_match.empty()) {
    const auto tag = TakeEntityTag(if_none_match);
    if (!tag) return false;
    if (tag->opaque == opaque) return true;
  }
  return false;
}

bool NamesVersion(std::string_view if_none_match, Version version) {
  if (if_none_match.empty()) return false;
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, version.value()).ptr;
  return NamesTag(if_none_match, {digits, static_cast<std::size_t>(end - digits)});
}

Result<VersionCondition> ParseIfMatch(std::span<const HttpHeader> headers) {
  VersionCondition condition;
  bool is_star = false;
  for (const HttpHeader& header : headers) {
    if (!EqualsIgnoringCase(header.name, "if-match")) continue;
    std::string_view list = header.value;
    if (condition.any && TrimWhiteSpace(list) == "*") {
      condition.any = false;
      is_star = true;
      continue;
    }
    condition.any = false;
    do {
      const auto tag = TakeEntityTag(list);
      if (!tag || is_star) return FailField("If-Match", "must be * or entity tags such as \"3\", as ETag gives them");
      // As the text of an ETag: "03" is none.
      const auto number = tag->opaque.starts_with('0') ? std::nullopt : ParseDecimal(tag->opaque);
      if (!tag->weak && number) condition.versions.push_back(Version(*number));
    } while (!list.empty());
  }
  condition.any = condition.any || is_star;
  return condition;
}

bool IsMediaType(std::string_view content_type, std::string_view type) {
  return EqualsIgnoringCase(TrimWhiteSpace(content_type.substr(0, content_type.find(';'))), type);
}

Result<void> CheckContentType(std::string_view content_type, std::initializer_list<std::string_view> accepted) {
  if (content_type.empty()) return {};
  bool fits = std::any_of(accepted.begin(), accepted.end(),
                          [&](std::string_view type) { return IsMediaType(content_type, type); });
  const std::size_t semicolon = content_type.find(';');
  if (fits && semicolon != std::string_view::npos) {
    const std::string_view parameter = TrimWhiteSpace(content_type.substr(semicolon + 1));
    fits = parameter.empty() || EqualsIgnoringCase(parameter, "charset=utf-8") ||
           EqualsIgnoringCase(parameter, "charset=\"utf-8\"");
  }
  if (fits) return {};
  std::string message = "the body's Content-Type must be ";
  for (const std::string_view* type = accepted.begin(); type != accepted.end(); ++type) {
    message.append(type == accepted.begin() ? "" : " or ").append(*type);
  }
  return Fail(Reason::kUnsupportedMediaType, message + ", in UTF-8");
}

}  // namespace muster
