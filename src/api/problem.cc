#include "api/problem.h"

#include <algorithm>

#include "base/encoding.h"

namespace muster {

namespace {

// Messages may carry text of libraries and of the system, which nobody promises to be UTF-8.
void WriteText(JsonWriter& json, std::string_view text) {
  if (IsValidUtf8(text)) {
    json.String(text);
    return;
  }
  std::string ascii(text);
  std::replace_if(ascii.begin(), ascii.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
  json.String(ascii);
}

}  // namespace

void WriteErrorMembers(JsonWriter& json, const Error& error) {
  const ReasonDescription& reason = DescribeReason(error.reason);
  json.Key("code").String(reason.code);
  json.Key("detail");
  WriteText(json, error.message);
  json.Key("retryable").Bool(reason.retryable);
  if (error.violations.empty()) return;
  json.Key("errors").BeginArray();
  for (const FieldViolation& violation : error.violations) {
    json.BeginObject();
    json.Key("field");
    WriteText(json, violation.field);
    json.Key("detail");
    WriteText(json, violation.description);
    json.EndObject();
  }
  json.EndArray();
}

void AppendProblem(std::string& out, const Error& error, std::string_view request_id) {
  const ReasonDescription& reason = DescribeReason(error.reason);
  JsonWriter json(out);
  json.BeginObject();
  json.Key("type").String("urn:muster:problem:" + std::string(reason.code));
  json.Key("title").String(reason.title);
  json.Key("status").Number(reason.http_status);
  WriteErrorMembers(json, error);
  json.Key("requestId").String(request_id);
  json.EndObject();
}

void AppendProblemHeaders(std::string& out, const Error& error) {
  const int status = DescribeReason(error.reason).http_status;
  if (status == 429 || status == 503 || error.reason == Reason::kIdempotencyInProgress) {
    const std::int64_t seconds = std::max<std::int64_t>(1, (error.retry_after_ms + 999) / 1000);
    out.append("Retry-After: ").append(std::to_string(seconds)).append("\r\n");
  } else if (status == 401) {
    out.append("WWW-Authenticate: Bearer realm=\"muster\"\r\n");
  }
}

Error RejectionError(int status, std::string_view detail) {
  const auto reason = [status] {
    switch (status) {
      case 408:
        return Reason::kRequestTimeout;
      case 413:
        return Reason::kBodyTooLarge;
      case 414:
        return Reason::kUriTooLong;
      case 415:
        return Reason::kUnsupportedMediaType;
      case 417:
        return Reason::kExpectationFailed;
      case 431:
        return Reason::kHeadersTooLarge;
      case 501:
        return Reason::kNotImplemented;
      case 503:
        return Reason::kOverloaded;
      case 505:
        return Reason::kHttpVersionNotSupported;
      default:
        return status < 500 ? Reason::kInvalidArgument : Reason::kInternal;
    }
  }();
  return Error{.reason = reason, .message = std::string(detail)};
}

}  // namespace muster
