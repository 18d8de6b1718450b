#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "domain/json_writer.h"

namespace muster {

inline constexpr std::string_view kProblemContentType = "application/problem+json";

// Appends an RFC 9457 problem:
//   {"type":"urn:muster:problem:MEMBER_NOT_FOUND","title":"There is no such member","status":404,"detail":"…",
//    "code":"MEMBER_NOT_FOUND","requestId":"…","retryable":false,"errors":[{"field":"identities[1].value","detail":"…"}]}
// `errors` only when there are violations.
void AppendProblem(std::string& out, const Error& error, std::string_view request_id);

// The members "code", "detail", "retryable" and "errors" of an open object: the error of one item of a batch.
void WriteErrorMembers(JsonWriter& json, const Error& error);

// Appends the header lines that belong to the problem: Retry-After (whole seconds, at least one) on 429 and 503,
// WWW-Authenticate on 401.
void AppendProblemHeaders(std::string& out, const Error& error);

// What a request was that the server could not take up (HttpHandler::Reject): the reason of that status.
Error RejectionError(int status, std::string_view detail);

}  // namespace muster
