#pragma once

#include <memory>

#include "api/api_dependencies.h"
#include "api/grpc.h"
#include "base/event_loop.h"
#include "domain/ports/member_reader.h"

namespace muster {

// The callers' gRPC interface: muster.v1.MemberService over the same ports and with the same rules as the HTTP API
// (member_api.h), grpc.health.v1.Health, and grpc.reflection.v1 and v1alpha. Health and reflection take no key.
//
// One for each loop, used on its thread; owns the loop's route tree, and waits when it is destroyed, as MakeMemberApi's
// does.
std::unique_ptr<GrpcHandler> MakeGrpcApi(EventLoop& loop, std::unique_ptr<MemberReader> reader,
                                         const ApiDependencies& dependencies);

}  // namespace muster
