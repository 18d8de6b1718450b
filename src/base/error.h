#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace muster {

// Why a request could not be served. The table is closed: every failure a caller can see is one of these, and each has
// one HTTP status, one gRPC code and one answer to "may I send it again?" (see DescribeReason).
enum class Reason : std::uint8_t {
  kInvalidArgument,
  kUnauthenticated,
  kPermissionDenied,
  kNotFound,
  kMemberNotFound,
  kIdentityNotFound,
  kMethodNotAllowed,
  kRequestTimeout,
  kMemberExists,
  kIdentityTaken,
  kStateConflict,
  kLimitExceeded,
  kIdempotencyInProgress,
  kPositionExpired,
  kVersionMismatch,
  kBodyTooLarge,
  kUriTooLong,
  kUnsupportedMediaType,
  kExpectationFailed,
  kIdempotencyMismatch,
  kRateLimited,
  kHeadersTooLarge,
  kInternal,
  kNotImplemented,
  kOverloaded,
  kWritesUnavailable,
  kOutcomeUnknown,
  kStale,
  kDeadlineExceeded,
  kHttpVersionNotSupported,
};
// How many rows the table has.
inline constexpr std::size_t kReasonCount = static_cast<std::size_t>(Reason::kHttpVersionNotSupported) + 1;

struct ReasonDescription {
  Reason reason;
  std::string_view code;  // as callers see it: "MEMBER_NOT_FOUND"
  int http_status;
  int grpc_code;           // google.rpc.Code
  bool retryable;          // the same request may succeed later
  std::string_view title;  // RFC 9457 "title": the reason in a few words, the same for every occurrence
};

// The row of the table; total over Reason.
const ReasonDescription& DescribeReason(Reason reason);

// The whole table, in the order of the enumeration. The reference page of error codes is generated from it.
const std::vector<ReasonDescription>& AllReasons();

// One fault of one field of a request.
struct FieldViolation {
  std::string field;        // path in the request, e.g. "identities[1].value"; empty when it is the whole request
  std::string description;  // what is wrong and what would be right; never repeats a personal value
};

// An expected failure. `message` says what happened and what to do next; it never contains a personal value or a key.
struct Error {
  Reason reason = Reason::kInternal;
  std::string message;
  std::vector<FieldViolation> violations = {};
  std::int64_t retry_after_ms = 0;  // 0: no advice

  std::string_view code() const { return DescribeReason(reason).code; }
  friend bool operator==(const Error& a, const Error& b) { return a.reason == b.reason && a.message == b.message; }
};

}  // namespace muster
