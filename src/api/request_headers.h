#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/deadlines.h"
#include "api/http.h"
#include "base/clock.h"
#include "base/result.h"
#include "domain/ids.h"

namespace muster {

// The headers that every request may need, gathered in one pass; If-Match has ParseIfMatch. Views into the request;
// empty when absent.
struct RequestHeaders {
  std::string_view authorization;
  std::string_view content_type;
  std::string_view if_none_match;
  std::string_view request_id;
  std::string_view trace_parent;
  std::string_view timeout_ms;
  bool no_cache = false;  // Cache-Control: no-cache, anywhere in the list

  static RequestHeaders Scan(std::span<const HttpHeader> headers);
};

inline constexpr std::int64_t kTimeoutMsMax =
    std::chrono::duration_cast<std::chrono::milliseconds>(kDeadlineMax).count();

// X-Request-Timeout-Ms, when it is there: 1 to kTimeoutMsMax. INVALID_ARGUMENT otherwise.
Result<Duration> ParseTimeout(std::string_view timeout_ms);

// A Request-Id as a caller may choose it: 1 to 64 of [A-Za-z0-9_.-], but no caller's key: it goes into logs and
// history.
bool IsRequestId(std::string_view text);

// W3C Trace Context: the 55 characters of version, trace id, parent id and flags; empty when `text` is malformed, which
// the recommendation tells to ignore.
std::string_view ValidTraceParent(std::string_view text);
// The trace id in a valid traceparent.
inline std::string_view TraceIdOf(std::string_view trace_parent) {
  return trace_parent.empty() ? trace_parent : trace_parent.substr(3, 32);
}

// Whether If-None-Match names the entity tag `opaque`, which is given without its quotes (weak comparison, lists, "*"),
// so that the answer is 304. A malformed one names nothing.
bool NamesTag(std::string_view if_none_match, std::string_view opaque);
// The same for the tag of a member's version.
bool NamesVersion(std::string_view if_none_match, Version version);

// What If-Match demands of a member's version.
struct VersionCondition {
  bool any = true;                // no header, or "*"
  std::vector<Version> versions;  // else: one of these (strong comparison); none means nothing can match
};
// From all If-Match lines together. INVALID_ARGUMENT when that is neither "*" nor a list of entity tags; an empty one
// is neither.
Result<VersionCondition> ParseIfMatch(std::span<const HttpHeader> headers);

// UNSUPPORTED_MEDIA_TYPE unless `content_type` is one of `accepted` (with charset=utf-8 at most), or absent.
Result<void> CheckContentType(std::string_view content_type, std::initializer_list<std::string_view> accepted);
// Whether `content_type` is `type`, parameters aside.
bool IsMediaType(std::string_view content_type, std::string_view type);

}  // namespace muster
