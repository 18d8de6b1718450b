#pragma once

#include <memory>

#include "api/api_dependencies.h"
#include "api/http.h"
#include "base/event_loop.h"
#include "domain/ports/member_reader.h"

namespace muster {

// The callers' HTTP interface: /v1/members…, /v1/server, /livez, /readyz, /metrics and
// /openapi.json. Translation only: a request
// becomes one call of a port, its Result becomes an answer.
//
// One for each loop, used on its thread. It owns the loop's route tree, because the tree must outlive the reads under
// way and must not outlive the loop. Destroying it waits for the writes that it has begun to come back, so the writer's
// store must still be running then; what was under way is answered 500 by the exchange.
std::unique_ptr<HttpHandler> MakeMemberApi(EventLoop& loop, std::unique_ptr<MemberReader> reader,
                                           const ApiDependencies& dependencies);

}  // namespace muster
