#include "base/error.h"

#include "base/check.h"

namespace muster {

const std::vector<ReasonDescription>& AllReasons() {
  static const std::vector<ReasonDescription> kTable = {
      {Reason::kInvalidArgument, "INVALID_ARGUMENT", 400, 3, false, "The request is not valid"},
      {Reason::kUnauthenticated, "UNAUTHENTICATED", 401, 16, false, "The caller is not known"},
      {Reason::kPermissionDenied, "PERMISSION_DENIED", 403, 7, false, "The caller may not do this"},
      {Reason::kNotFound, "NOT_FOUND", 404, 5, false, "There is no such resource"},
      {Reason::kMemberNotFound, "MEMBER_NOT_FOUND", 404, 5, false, "There is no such member"},
      {Reason::kIdentityNotFound, "IDENTITY_NOT_FOUND", 404, 5, false, "Nobody holds this identity"},
      {Reason::kMethodNotAllowed, "METHOD_NOT_ALLOWED", 405, 12, false, "The method does not fit this resource"},
      {Reason::kRequestTimeout, "REQUEST_TIMEOUT", 408, 4, true, "The request did not arrive in time"},
      {Reason::kMemberExists, "MEMBER_EXISTS", 409, 6, false, "The member exists already"},
      {Reason::kIdentityTaken, "IDENTITY_TAKEN", 409, 6, false, "Another member holds this identity"},
      {Reason::kStateConflict, "STATE_CONFLICT", 409, 9, false, "The state does not allow this"},
      {Reason::kLimitExceeded, "LIMIT_EXCEEDED", 409, 9, false, "A limit is reached"},
      {Reason::kIdempotencyInProgress, "IDEMPOTENCY_IN_PROGRESS", 409, 10, true,
       "A request with this Idempotency-Key is under way"},
      {Reason::kPositionExpired, "POSITION_EXPIRED", 410, 11, false, "The position is not kept any more"},
      {Reason::kVersionMismatch, "VERSION_MISMATCH", 412, 10, false, "The member has changed"},
      {Reason::kBodyTooLarge, "BODY_TOO_LARGE", 413, 8, false, "The body is too large"},
      {Reason::kUriTooLong, "URI_TOO_LONG", 414, 3, false, "The request target is too long"},
      {Reason::kUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", 415, 3, false, "The content type is not supported"},
      {Reason::kExpectationFailed, "EXPECTATION_FAILED", 417, 3, false, "The expectation cannot be met"},
      {Reason::kIdempotencyMismatch, "IDEMPOTENCY_MISMATCH", 422, 3, false,
       "The Idempotency-Key belongs to another request"},
      {Reason::kRateLimited, "RATE_LIMITED", 429, 8, true, "Too many requests"},
      {Reason::kHeadersTooLarge, "HEADERS_TOO_LARGE", 431, 8, false, "The header block is too large"},
      {Reason::kInternal, "INTERNAL", 500, 13, false, "muster failed"},
      {Reason::kNotImplemented, "NOT_IMPLEMENTED", 501, 12, false, "The server does not know how to do this"},
      {Reason::kOverloaded, "OVERLOADED", 503, 8, true, "The server is at its capacity"},
      {Reason::kWritesUnavailable, "WRITES_UNAVAILABLE", 503, 14, true, "Writes are not possible now"},
      {Reason::kOutcomeUnknown, "OUTCOME_UNKNOWN", 503, 14, true, "The write may or may not have happened"},
      {Reason::kStale, "STALE", 503, 14, true, "No source is fresh enough"},
      {Reason::kDeadlineExceeded, "DEADLINE_EXCEEDED", 504, 4, true, "The deadline passed"},
      {Reason::kHttpVersionNotSupported, "HTTP_VERSION_NOT_SUPPORTED", 505, 12, false,
       "The version of HTTP is not supported"},
  };
  return kTable;
}

const ReasonDescription& DescribeReason(Reason reason) {
  for (const ReasonDescription& row : AllReasons()) {
    if (row.reason == reason) return row;
  }
  MUSTER_UNREACHABLE("a Reason without a row in the table");
}

}  // namespace muster
