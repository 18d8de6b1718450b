#pragma once

#include <string>
#include <string_view>

#include "api/deadlines.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/result.h"

namespace muster {

// A grpc-timeout, when it is there: 1 to 8 digits and one of H, M, S, m, u, n; more than `most` is taken for that.
// INVALID_ARGUMENT otherwise.
Result<Duration> ParseGrpcTimeout(std::string_view text, Duration most = kDeadlineMax);

// Appends `text` as grpc-message has it: what is not printable ASCII, and '%', as %XX.
void AppendPercentEncoded(std::string& out, std::string_view text);

// Appends standard base64 without padding, as the values of -bin metadata have it.
void AppendBase64(std::string& out, std::string_view bytes);

// Appends a google.rpc.Status with its details: ErrorInfo (reason: the code, domain "muster", metadata request_id),
// BadRequest when fields are to blame, RetryInfo when the same request may succeed later.
void AppendStatus(std::string& out, const Error& error, std::string_view request_id);

// "identities[1].bindTime" as protobuf spells it: "identities[1].bind_time". Names of attributes stay as they are.
std::string ProtoFieldPath(std::string_view path);

}  // namespace muster
