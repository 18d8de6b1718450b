#pragma once

#include <string>
#include <string_view>

#include "app/cli/exit_code.h"
#include "app/client/http_client.h"

namespace muster {

// What a refusal of the server means to the user: its problem document (RFC 9457) with the request's id, or the bare
// status.
Failure DescribeRefusal(const HttpReply& reply);

// The code of a problem document ("RATE_LIMITED"); empty when it is none.
std::string ProblemCode(const HttpReply& reply);

// Whether it is a problem document whose errors name `field`.
bool ProblemBlames(const HttpReply& reply, std::string_view field);

}  // namespace muster
